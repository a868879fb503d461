"""The functions of the HTTPS API, without HTTP: a name, data and a caller in, an answer out.

Names, levels, fields and errors are those of `DedicatedServerAPIDocs.md`, which the game ships with every
server; answers are camelCase, as a live 1.2 server's are and its document's are not.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from core.errors import StoreFailed
from standin.access import ClaimFile, Level, Tokens
from standin.world import SESSION, State, World

Data = Mapping[str, object]


@dataclass(frozen=True)
class Answer:
    """What goes back: no data is a 204; after the `last` one the game shuts down."""

    data: dict[str, object] | None = None
    last: bool = False


class RefusedError(Exception):
    """The game says no.

    Args:
        code: the API's `errorCode`.
        message: why, for a person.
        status: of HTTP; a live server answers most refusals with 200.
    """

    def __init__(self, code: str, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Functions:
    """All functions of one server."""

    def __init__(self, world: World, claims: ClaimFile, tokens: Tokens, *, max_players: int) -> None:
        self._world = world
        self._claims = claims
        self._tokens = tokens
        self._max_players = max_players
        self._lock = threading.Lock()  # the game does one call at a time, on its own thread
        admin = Level.ADMINISTRATOR
        self._table: dict[str, tuple[Level, Callable[[Data], Answer]]] = {
            "HealthCheck": (Level.NOT_AUTHENTICATED, self._health_check),
            "VerifyAuthenticationToken": (Level.CLIENT, lambda _: Answer()),
            "PasswordlessLogin": (Level.NOT_AUTHENTICATED, self._passwordless_login),
            "PasswordLogin": (Level.NOT_AUTHENTICATED, self._password_login),
            # The level that is really asked for is InitialAdmin, which nobody has once there is an owner.
            "ClaimServer": (admin, self._claim_server),
            "SetClientPassword": (admin, self._set_client_password),
            "RenameServer": (admin, self._rename_server),
            "QueryServerState": (Level.CLIENT, self._query_server_state),
            "SaveGame": (admin, self._save_game),
            "Shutdown": (admin, lambda _: Answer(last=True)),
        }

    def call(self, name: str, data: Data, *, token: str | None, trusted: bool) -> Answer:
        """Do what `name` says for the holder of `token`; a `trusted` caller needs none.

        Raises:
            RefusedError: unknown function, no right to it, or the function itself refuses.
        """
        if name not in self._table:
            raise RefusedError("unknown_function", f"There is no function {name!r}.", 404)
        needed, function = self._table[name]
        with self._lock:
            self._check(Level.API_TOKEN if trusted else self._level_of(token), needed)
            return function(data)

    def _level_of(self, token: str | None) -> Level:
        if token is None:
            return Level.NOT_AUTHENTICATED
        level = self._tokens.level_of(token)
        if level is None:
            raise RefusedError("invalid_token", "The authentication token is not valid (any more).", 401)
        return level

    def _check(self, level: Level, needed: Level) -> None:
        if level.reaches(needed):
            return
        if level is Level.NOT_AUTHENTICATED:
            raise RefusedError("invalid_token", "The function needs an authentication token.", 401)
        raise RefusedError("insufficient_scope", f"The function needs the level {needed}.", 403)

    def _health_check(self, data: Data) -> Answer:
        text(data, "clientCustomData")
        return Answer({"health": "healthy", "serverCustomData": ""})

    def _passwordless_login(self, data: Data) -> Answer:
        level = self._claims.claim.passwordless_level()
        if level is Level.NOT_AUTHENTICATED or not level.reaches(_minimum(data)):
            raise RefusedError("passwordless_login_not_possible", "Log in with a password.")
        return self._token(level)

    def _password_login(self, data: Data) -> Answer:
        level = self._claims.claim.level_of(text(data, "password"))
        if level is Level.NOT_AUTHENTICATED or not level.reaches(_minimum(data)):
            raise RefusedError("wrong_password", "The password does not open this level.")
        return self._token(level)

    def _claim_server(self, data: Data) -> Answer:
        if self._claims.claim.claimed:
            raise RefusedError("server_claimed", "The server has an owner.")
        name, password = text(data, "serverName"), text(data, "adminPassword")
        if not password:
            raise RefusedError("missing_params", "The adminPassword is empty.", 400)
        self._claims.replace(replace(self._claims.claim, server_name=name, admin_password=password))
        self._tokens.drop(Level.INITIAL_ADMIN)
        return self._token(Level.ADMINISTRATOR)

    def _set_client_password(self, data: Data) -> Answer:
        self._check_claimed()
        claim, password = self._claims.claim, text(data, "password")
        if password and password in (claim.admin_password, claim.client_password):
            raise RefusedError("password_in_use", "The password is in use.")
        self._claims.replace(replace(claim, client_password=password))
        self._tokens.drop(Level.CLIENT)
        return Answer()

    def _rename_server(self, data: Data) -> Answer:
        self._check_claimed()
        self._claims.replace(replace(self._claims.claim, server_name=text(data, "serverName")))
        return Answer()

    def _query_server_state(self, _: Data) -> Answer:
        return Answer({"serverGameState": self._game_state()})

    def _game_state(self) -> dict[str, object]:
        return {
            "activeSessionName": SESSION,
            "numConnectedPlayers": self._world.players,
            "playerLimit": self._max_players,
            "techTier": 0,
            "activeSchematic": "None",
            "gamePhase": "None",
            "isGameRunning": self._world.state is State.PLAYING,
            "totalGameDuration": self._world.duration,
            "isGamePaused": False,
            "averageTickRate": 30.0,
            "autoLoadSessionName": SESSION,
        }

    def _save_game(self, data: Data) -> Answer:
        try:
            self._world.save(text(data, "saveName"))
        except (ValueError, StoreFailed) as error:
            raise RefusedError("save_game_failed", str(error)) from error
        return Answer()

    def _check_claimed(self) -> None:
        if not self._claims.claim.claimed:
            raise RefusedError("server_not_claimed", "The server has no owner yet.")

    def _token(self, level: Level) -> Answer:
        return Answer({"authenticationToken": self._tokens.issue(level)})


def text(data: Data, name: str) -> str:
    """Return a field that must be there and be text."""
    value = data.get(name)
    if not isinstance(value, str):
        raise RefusedError("missing_params", f"The text {name} is missing.", 400)
    return value


def _minimum(data: Data) -> Level:
    try:
        return Level(text(data, "minimumPrivilegeLevel"))
    except ValueError as error:
        raise RefusedError("missing_params", str(error), 400) from error
