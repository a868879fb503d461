"""What the instance manager answers, checked value by value. Pure."""

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any

from core.errors import ManagerFailed
from core.hosts import is_host_name

_MAX_SENTENCE = 200


@dataclass(frozen=True)
class Instance:
    """The rathole server of one game server on the VPS; None where the manager does not say.

    Attributes:
        rathole_port: where its clients connect.
        game_port: the public port of the game, UDP and TCP.
        beacon_port: the public port of the game's messages, TCP.
        public_host: the host that players type.
        running: what the manager believes; one that died can stay listed as running.
    """

    rathole_port: int | None = None
    game_port: int | None = None
    beacon_port: int | None = None
    public_host: str | None = None
    running: bool | None = None


def json_of(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`.

    Raises:
        ManagerFailed: it is something else.
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise _garbage("something that is not JSON") from None
    if not isinstance(value, dict):
        raise _garbage("JSON that is no object")
    return value


def sentence_of(body: bytes) -> str:
    """Return what an error's body says, short and printable."""
    try:
        value = json_of(body)
    except ManagerFailed:
        return "it gives no reason"
    said = value.get("message") or value.get("error") or value.get("detail") or "it gives no reason"
    return ascii(str(said)[:_MAX_SENTENCE])[1:-1].rstrip(".")


def instance_of(answer: dict[str, Any], server_id: str) -> Instance:
    """Return the instance that an answer describes, at its top or under `instance`.

    Raises:
        ManagerFailed: a value has another type, or another server is meant.
    """
    values = answer.get("instance", answer)
    if not isinstance(values, dict):
        raise _garbage("an instance that is no object")
    _check_server(answer, server_id)
    _check_server(values, server_id)
    public = values.get("public_connection_info") or {}
    if not isinstance(public, dict):
        raise _garbage("a public_connection_info that is no object")
    game_host, game_port = _address(public, "game_udp_address")
    _, beacon_port = _address(public, "query_address")
    return Instance(
        rathole_port=_port(values, "rathole_port"),
        game_port=_port(values, "tunnel_game_udp_port") or _port(values, "tunnel_game_tcp_port") or game_port,
        beacon_port=_port(values, "tunnel_query_port") or beacon_port,
        public_host=game_host,
        running=_flag(values, "is_running"),
    )


def config_of(answer: dict[str, Any], server_id: str) -> str:
    """Return the text of the client.toml in an answer.

    Raises:
        ManagerFailed: there is none, or it is another server's.
    """
    _check_server(answer, server_id)
    config = answer.get("config")
    if not isinstance(config, str):
        raise _garbage("a config that is no text")
    return config


def _check_server(values: dict[str, Any], server_id: str) -> None:
    named = values.get("server_id", server_id)
    if not isinstance(named, str) or named.lower() != server_id.lower():
        raise _garbage(f"another server than {server_id}")


def _port(values: dict[str, Any], key: str) -> int | None:
    value = values.get(key)
    if value is None:
        return None
    if type(value) is not int or not 1 <= value <= 65535:
        raise _garbage(f"a {key} that is no port")
    return value


def _flag(values: dict[str, Any], key: str) -> bool | None:
    value = values.get(key)
    if value is not None and not isinstance(value, bool):
        raise _garbage(f"a {key} that is neither true nor false")
    return value


def _address(values: dict[str, Any], key: str) -> tuple[str | None, int | None]:
    """Return host and port of `host:port`; what cannot be a player's way in is None."""
    value = values.get(key)
    if not isinstance(value, str):
        return None, None
    host, _, port = value.rpartition(":")
    known = re.fullmatch(r"[0-9]{1,5}", port) and 1 <= int(port) <= 65535
    return host if _is_public(host) else None, int(port) if known else None


def _is_public(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return is_host_name(host) and host.lower() not in ("localhost", "none")
    return not (address.is_loopback or address.is_unspecified)


def _garbage(what: str) -> ManagerFailed:
    return ManagerFailed("manager_failed", f"The instance manager answered with {what}.")
