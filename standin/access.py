"""Who may do what: the claim of the server, kept in a file, and the tokens, kept in memory."""

import base64
import json
import secrets
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from core.files import write_atomic


class Level(StrEnum):
    """The game's privilege levels, lowest first; the values are those on the wire."""

    NOT_AUTHENTICATED = "NotAuthenticated"
    CLIENT = "Client"
    ADMINISTRATOR = "Administrator"
    INITIAL_ADMIN = "InitialAdmin"
    API_TOKEN = "APIToken"  # noqa: S105 - the name of a level

    def reaches(self, other: "Level") -> bool:
        """Say whether this level is `other` or higher."""
        order = list(Level)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True)
class Claim:
    """Name and passwords of a server; without an admin password it is not claimed."""

    server_name: str = "Stand-in"
    admin_password: str = ""
    client_password: str = ""

    @property
    def claimed(self) -> bool:
        """Whether the server has an owner."""
        return bool(self.admin_password)

    def passwordless_level(self) -> Level:
        """Return what somebody without a password may become."""
        if not self.claimed:
            return Level.INITIAL_ADMIN
        return Level.NOT_AUTHENTICATED if self.client_password else Level.CLIENT

    def level_of(self, password: str) -> Level:
        """Return what somebody with `password` may become."""
        known = {self.admin_password: Level.ADMINISTRATOR, self.client_password: Level.CLIENT}
        return known.get(password, Level.NOT_AUTHENTICATED) if password else Level.NOT_AUTHENTICATED


class ClaimFile:
    """The claim in `ServerSettings.<game port>.sav`; another port is another, unclaimed server.

    Raises:
        StoreFailed: by `replace`, when the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.claim = Claim(**json.loads(path.read_text())) if path.exists() else Claim()

    def replace(self, claim: Claim) -> None:
        """Keep `claim` from now on and over restarts."""
        write_atomic(self._path, json.dumps(asdict(claim)))
        self.claim = claim


class Tokens:
    """The tokens given out since the start, each with its level."""

    def __init__(self) -> None:
        self._levels: dict[str, Level] = {}

    def issue(self, level: Level) -> str:
        """Return a new token: the level in base64, a dot, and what makes it hard to guess."""
        payload = json.dumps({"pl": level}, indent="\t").encode()
        token = f"{base64.b64encode(payload).decode()}.{secrets.token_hex(32).upper()}"
        self._levels[token] = level
        return token

    def level_of(self, token: str) -> Level | None:
        """Return the level of a token that is valid, else None."""
        return self._levels.get(token)

    def drop(self, level: Level) -> None:
        """Make all tokens of one level invalid."""
        self._levels = {token: known for token, known in self._levels.items() if known is not level}
