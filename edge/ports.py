"""Which ports an instance gets: exactly the public ones it asked for, and a control port of our choice."""

import errno
import socket
from collections.abc import Callable, Collection, Mapping

from core.errors import Conflict, InvalidRequest, ManagerFailed

IsFree = Callable[[int, socket.SocketKind], bool]
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


def is_free(port: int, kind: socket.SocketKind) -> bool:
    """Tell whether nothing on this machine holds the port.

    Raises:
        OSError: the port cannot be tried at all, e.g. for want of file descriptors.
    """
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == TCP:
            # As rathole itself does: a connection in TIME_WAIT is no reason to refuse.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - the address that rathole binds
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def check_public_ports(
    game: int, query: int, *, allowed: range, taken: Mapping[int, str], free: IsFree = is_free
) -> None:
    """Check the two public ports that somebody asks for.

    Args:
        game: served as TCP and UDP.
        query: served as TCP.
        allowed: the published ports.
        taken: public ports of the instances there are, with the id of each.
        free: tells whether the machine has a port to give.

    Raises:
        InvalidRequest: they are equal, or one is outside the published ports.
        Conflict: one is taken, by an instance or by another program.
    """
    if game == query:
        raise InvalidRequest("ports_equal", f"game_port and query_port are both {game}; ask for two ports.")
    for port in (game, query):
        if port not in allowed:
            raise InvalidRequest(
                "port_not_published",
                f"Port {port} is outside {allowed.start}-{allowed.stop - 1}, the ports this edge publishes.",
            )
        if port in taken:
            raise Conflict("port_taken", f"Port {port} is in use by instance {taken[port]}; ask for another.")
    for port, kind in ((game, TCP), (game, UDP), (query, TCP)):
        if not free(port, kind):
            raise Conflict("port_in_use", f"Port {port} is held by another program on the VPS; ask for another.")


def choose_control_port(allowed: range, taken: Collection[int], *, free: IsFree = is_free) -> int:
    """Return the lowest control port that no instance and no other program has.

    Raises:
        ManagerFailed: there is none left.
    """
    for port in allowed:
        if port not in taken and free(port, TCP):
            return port
    raise ManagerFailed(
        "no_control_port",
        f"All {len(allowed)} control ports are in use; remove an instance or widen EDGE_CONTROL_PORTS.",
    )
