"""rathole's two configurations of an instance, as data written by a serialiser."""

import tomli_w

from edge.instances import Instance
from edge.keys import NoiseKeys

# The same on both sides, and what deployed managers hand out.
_TCP = {"nodelay": True, "keepalive_secs": 20, "keepalive_interval": 8}


def server_config(instance: Instance, keys: NoiseKeys) -> str:
    """Render what `rathole --server` reads; it holds the instance's token and the private key."""
    services = {
        name: {
            "type": kind,
            "token": instance.token,
            "bind_addr": f"0.0.0.0:{port}",
            "nodelay": True,
        }
        for name, kind, port in _services(instance)
    }
    server = {
        "bind_addr": f"0.0.0.0:{instance.control_port}",
        "transport": _transport({"local_private_key": keys.private}),
        "services": services,
    }
    return tomli_w.dumps({"server": server})


def client_config(instance: Instance, keys: NoiseKeys, *, remote_host: str, local_host: str) -> str:
    """Render what the server's host runs; it holds the instance's token.

    Args:
        instance: whose tunnel it is.
        keys: the edge's; the client gets the public one, by which it knows the edge.
        remote_host: the edge, as the client reaches it.
        local_host: the game server, as the client reaches it.
    """
    services = {
        name: {
            "type": kind,
            "token": instance.token,
            "local_addr": f"{local_host}:{port}",
            "nodelay": True,
        }
        for name, kind, port in _services(instance)
    }
    client = {
        "remote_addr": f"{remote_host}:{instance.control_port}",
        "heartbeat_timeout": 40,
        "retry_interval": 1,
        "transport": _transport({"remote_public_key": keys.public}),
        "services": services,
    }
    return tomli_w.dumps({"client": client})


def _services(instance: Instance) -> list[tuple[str, str, int]]:
    """Return name, type and port of each service: a service of rathole has one protocol."""
    return [
        (f"{instance.server_id}_game_tcp", "tcp", instance.game_port),
        (f"{instance.server_id}_game_udp", "udp", instance.game_port),
        (f"{instance.server_id}_query", "tcp", instance.query_port),
    ]


def _transport(key: dict[str, str]) -> dict[str, object]:
    """Return the encrypted transport; its pattern is rathole's default, in which the server is known by its key."""
    return {"type": "noise", "tcp": _TCP, "noise": key}
