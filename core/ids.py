"""Server ids: the one check before any path, argv, label, TOML or YAML sees one."""

import re
from collections.abc import Collection

from core.errors import InvalidRequest

_SERVER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,62}")

# A container of one of these names would catch calls meant for us.
RESERVED = frozenset({"host-agent", "satis-host-agent", "edge", "localhost"})


def check_server_id(value: object, *, reserved: Collection[str] = ()) -> str:
    """Return `value` if it is a usable server id.

    It becomes a container name, a host name and a DNS label at once, hence 2 to 63
    characters of A-Z a-z 0-9 _ - (Docker resolves no label above 63: tried with engine 20.10).

    Args:
        value: what a caller sent.
        reserved: further names that no server may have, in lower case.

    Raises:
        InvalidRequest: it is not; the sentence says why.
    """
    if not isinstance(value, str) or not _SERVER_ID.fullmatch(value):
        raise InvalidRequest(
            "invalid_server_id",
            "A server id has 2 to 63 characters: letters, digits, '_' and '-', beginning with a letter or digit.",
        )
    if value.lower() in RESERVED or value.lower() in reserved:
        raise InvalidRequest(
            "reserved_server_id",
            f"The id {value} is the name of another machine in this network; choose another one.",
        )
    return value


def project_name(server_id: str) -> str:
    """Return the compose project of a server: Compose allows lower case only."""
    return server_id.lower()
