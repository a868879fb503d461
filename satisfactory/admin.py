"""What an owner does with his game: save it, read its state, claim, name and lock it.

Names, levels and errors are those of `DedicatedServerAPIDocs.md`, which the game ships with every server.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from core.errors import GameFailed
from satisfactory.local import NoCurlError

_NO_RIGHT = frozenset({401, 403})


class Api(Protocol):
    """One way to the game's HTTPS API."""

    def call(
        self, function: str, data: Mapping[str, object], *, token: str | None = None, within: float | None = None
    ) -> dict[str, Any]:
        """Call a function and return its data."""


class NoAccessError(GameFailed):
    """Nobody gave the agent the right to administrate this game."""


@dataclass(frozen=True)
class Admin:
    """The administrator of one game: the local one, else the one whose password the agent set.

    Every call raises GameFailed where the game is not reachable, says nothing or refuses.

    Attributes:
        local: the way through the game's container, which may need no password.
        remote: the way over the network.
        password: the admin password that the agent set, None where it set none.
    """

    local: Api
    remote: Api
    password: str | None

    def save_game(self, name: str, within: float) -> None:
        """Save under a name; the game answers when it has saved.

        Raises:
            NoAccessError: the agent may not.
        """
        self._as_administrator("SaveGame", {"saveName": name}, within)

    def state(self, within: float) -> dict[str, Any]:
        """Return the game's state: `isGameRunning`, `numConnectedPlayers` and more.

        Raises:
            NoAccessError: the agent may not.
        """
        answer = self._as_administrator("QueryServerState", {}, within).get("serverGameState")
        if not isinstance(answer, dict):
            raise GameFailed("game_answer_unknown", "The game told no state.")
        return answer

    def claim(self, name: str, password: str) -> str | None:
        """Become the owner of a game that has none; return the administrator's token, None where it has an owner."""
        try:
            initial = self._login("PasswordlessLogin", {"minimumPrivilegeLevel": "InitialAdmin"})
            return self._login("ClaimServer", {"serverName": name, "adminPassword": password}, token=initial)
        except GameFailed as error:
            if _refused_with(error, "passwordless_login_not_possible", "server_claimed"):
                return None
            raise

    def login(self) -> str | None:
        """Return a token for the password that the agent set; None where the game has another one, or none is set."""
        if self.password is None:
            return None
        try:
            return self._login("PasswordLogin", {"minimumPrivilegeLevel": "Administrator", "password": self.password})
        except GameFailed as error:
            if _refused_with(error, "wrong_password"):
                return None
            raise

    def rename(self, name: str, token: str) -> None:
        """Give the game another name."""
        self._anyhow("RenameServer", {"serverName": name}, token)

    def lock(self, password: str, token: str) -> None:
        """Let only players in who know the password; one that is set already is fine."""
        try:
            self._anyhow("SetClientPassword", {"password": password}, token)
        except GameFailed as error:
            if not _refused_with(error, "password_in_use"):
                raise

    def _as_administrator(self, function: str, data: Mapping[str, object], within: float) -> dict[str, Any]:
        try:
            return self.local.call(function, data, within=within)
        except GameFailed as error:
            if not isinstance(error, NoCurlError) and error.details.get("status") not in _NO_RIGHT:
                raise
        token = self.login()
        if token is None:
            raise NoAccessError("no_admin_access", "The game has no local administrator, and its password is unknown.")
        return self.remote.call(function, data, token=token, within=within)

    def _login(self, function: str, data: Mapping[str, object], token: str | None = None) -> str:
        found = self._anyhow(function, data, token).get("authenticationToken")
        if not isinstance(found, str) or not found.isascii() or not found.isprintable():
            raise GameFailed("game_answer_unknown", f"The game gave no token for {function}.")
        return found

    def _anyhow(self, function: str, data: Mapping[str, object], token: str | None) -> dict[str, Any]:
        """Call what needs no right, or a token, by whatever way there is."""
        try:
            return self.local.call(function, data, token=token)
        except NoCurlError:
            return self.remote.call(function, data, token=token)


def _refused_with(error: GameFailed, *codes: str) -> bool:
    return error.details.get("errorCode") in codes
