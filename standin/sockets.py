"""Bound sockets, on both families where the host has both."""

import socket


def bind(address: str, port: int, kind: socket.SocketKind) -> socket.socket:
    """Return a socket bound to `address` and `port`; `::` takes IPv4 as well.

    Raises:
        OSError: the port is taken or the address is not this host's.
    """
    if address == "::" and not socket.has_dualstack_ipv6():
        address = ""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, kind)
    if family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if kind == socket.SOCK_STREAM:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((address, port))
    except OSError:
        bound.close()
        raise
    return bound
