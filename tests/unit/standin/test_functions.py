"""The stand-in's API functions: who may do what, and what comes of it."""

import base64
import json
import re
from pathlib import Path

import pytest

from standin.access import ClaimFile, Level, Tokens
from standin.functions import Answer, Functions, RefusedError
from standin.world import World

ADMIN_PASSWORD = "correct horse"
CLIENT_PASSWORD = "battery staple"


class Game:
    """A server's functions, called as a client would."""

    def __init__(self, directory: Path, port: int = 7777) -> None:
        self.world = World(directory / "server")
        self.world.begin()
        self.settings = directory / f"ServerSettings.{port}.sav"
        self.functions = Functions(self.world, ClaimFile(self.settings), Tokens(), max_players=6)

    def call(self, name: str, *, token: str | None = None, trusted: bool = False, **data: object) -> Answer:
        """Call a function."""
        return self.functions.call(name, data, token=token, trusted=trusted)

    def token(self, name: str, *, token: str | None = None, **data: object) -> str:
        """Call a function that gives a token, and return it."""
        answer = self.functions.call(name, data, token=token, trusted=False).data
        assert answer
        return str(answer["authenticationToken"])

    def login(self, level: Level, password: str | None = None) -> str:
        """Log in, with a password or without."""
        if password is None:
            return self.token("PasswordlessLogin", minimumPrivilegeLevel=level)
        return self.token("PasswordLogin", minimumPrivilegeLevel=level, password=password)

    def claim(self) -> str:
        """Become the owner of an unclaimed server, and return the administrator's token."""
        initial = self.login(Level.INITIAL_ADMIN)
        return self.token("ClaimServer", token=initial, serverName="Mine", adminPassword=ADMIN_PASSWORD)


@pytest.fixture
def game(tmp_path: Path) -> Game:
    """Return an unclaimed server."""
    return Game(tmp_path)


def refusal(game: Game, name: str, *, token: str | None = None, **data: object) -> tuple[str, int]:
    """Return code and status of a call that must be refused."""
    with pytest.raises(RefusedError) as refused:
        game.functions.call(name, data, token=token, trusted=False)
    return refused.value.code, refused.value.status


def test_health_needs_nobody(game: Game) -> None:
    """Everybody may ask for the health."""
    answer = game.call("HealthCheck", clientCustomData="")
    assert answer == Answer({"health": "healthy", "serverCustomData": ""})


def test_an_unknown_function_is_404(game: Game) -> None:
    """A function that the game does not have is refused with its own status."""
    assert refusal(game, "Dance") == ("unknown_function", 404)


def test_a_missing_or_wrong_parameter_is_400(game: Game) -> None:
    """Data without a field, or with a number for a text, is refused."""
    assert refusal(game, "HealthCheck") == ("missing_params", 400)
    assert refusal(game, "HealthCheck", clientCustomData=3) == ("missing_params", 400)
    assert refusal(game, "PasswordlessLogin", minimumPrivilegeLevel="Emperor") == ("missing_params", 400)


@pytest.mark.parametrize(
    "name", ["VerifyAuthenticationToken", "QueryServerState", "ClaimServer", "SaveGame", "Shutdown"]
)
def test_without_a_valid_token_nothing_else_works(game: Game, name: str) -> None:
    """No token and an invented one get 401."""
    assert refusal(game, name) == ("invalid_token", 401)
    assert refusal(game, name, token="ewoJfQ==.AB12") == ("invalid_token", 401)


def test_a_token_looks_like_the_games(game: Game) -> None:
    """A token is its level as JSON in base64, a dot, and hexadecimal digits."""
    payload, _, fingerprint = game.claim().partition(".")
    assert json.loads(base64.b64decode(payload)) == {"pl": "Administrator"}
    assert payload.startswith("ewoJ")
    assert re.fullmatch(r"[0-9A-F]{64}", fingerprint)


def test_the_first_who_comes_may_claim_and_nobody_after(game: Game) -> None:
    """The claim gives an administrator's token and closes the door behind it."""
    second = game.login(Level.INITIAL_ADMIN)
    admin = game.claim()
    assert game.call("VerifyAuthenticationToken", token=admin) == Answer()
    assert refusal(game, "VerifyAuthenticationToken", token=second) == ("invalid_token", 401)
    claim = {"serverName": "Theirs", "adminPassword": "x"}
    assert refusal(game, "ClaimServer", token=admin, **claim) == ("server_claimed", 200)
    asked = {"minimumPrivilegeLevel": "InitialAdmin"}
    assert refusal(game, "PasswordlessLogin", **asked) == ("passwordless_login_not_possible", 200)


def test_a_claim_outlives_a_restart_and_not_a_change_of_port(game: Game, tmp_path: Path) -> None:
    """The claim is in the settings file of the game port, which is private."""
    game.claim()
    assert game.settings.stat().st_mode & 0o777 == 0o600
    assert Game(tmp_path).login(Level.ADMINISTRATOR, ADMIN_PASSWORD)
    assert Game(tmp_path, port=7778).login(Level.INITIAL_ADMIN)


def test_an_empty_admin_password_claims_nothing(game: Game) -> None:
    """A claim needs a password, for it is what makes the server claimed."""
    initial = game.login(Level.INITIAL_ADMIN)
    data = {"serverName": "Mine", "adminPassword": ""}
    assert refusal(game, "ClaimServer", token=initial, **data) == ("missing_params", 400)


def test_an_initial_admin_has_only_the_claim(game: Game) -> None:
    """Names and passwords are for owners."""
    initial = game.login(Level.INITIAL_ADMIN)
    assert refusal(game, "SetClientPassword", token=initial, password="x") == ("server_not_claimed", 200)
    assert refusal(game, "RenameServer", token=initial, serverName="x") == ("server_not_claimed", 200)


def test_a_client_may_look_and_not_touch(game: Game) -> None:
    """A player's token reads the state, and is refused with 403 what is the administrator's."""
    game.claim()
    client = game.login(Level.CLIENT)
    assert game.call("QueryServerState", token=client).data
    assert refusal(game, "SaveGame", token=client, saveName="x") == ("insufficient_scope", 403)
    assert refusal(game, "Shutdown", token=client) == ("insufficient_scope", 403)


def test_a_client_password_locks_players_out(game: Game) -> None:
    """With a client password there is no login without one, and earlier players' tokens are void."""
    admin = game.claim()
    before = game.login(Level.CLIENT)
    game.call("SetClientPassword", token=admin, password=CLIENT_PASSWORD)
    assert refusal(game, "QueryServerState", token=before) == ("invalid_token", 401)
    asked = {"minimumPrivilegeLevel": "Client"}
    assert refusal(game, "PasswordlessLogin", **asked) == ("passwordless_login_not_possible", 200)
    assert game.login(Level.CLIENT, CLIENT_PASSWORD)
    assert game.call("VerifyAuthenticationToken", token=admin) == Answer()


def test_an_empty_client_password_opens_again(game: Game) -> None:
    """The client password is removed by an empty one."""
    admin = game.claim()
    game.call("SetClientPassword", token=admin, password=CLIENT_PASSWORD)
    game.call("SetClientPassword", token=admin, password="")
    assert game.login(Level.CLIENT)


def test_a_password_is_used_once(game: Game) -> None:
    """The players' password is neither the administrator's nor the one they have."""
    admin = game.claim()
    game.call("SetClientPassword", token=admin, password=CLIENT_PASSWORD)
    for password in (ADMIN_PASSWORD, CLIENT_PASSWORD):
        assert refusal(game, "SetClientPassword", token=admin, password=password) == ("password_in_use", 200)


@pytest.mark.parametrize("password", ["", "wrong", CLIENT_PASSWORD])
def test_a_password_opens_its_own_level_only(game: Game, password: str) -> None:
    """The administrator's level takes the administrator's password."""
    game.call("SetClientPassword", token=game.claim(), password=CLIENT_PASSWORD)
    asked = {"minimumPrivilegeLevel": "Administrator", "password": password}
    assert refusal(game, "PasswordLogin", **asked) == ("wrong_password", 200)


def test_a_new_name_is_kept(game: Game, tmp_path: Path) -> None:
    """Renaming outlives a restart."""
    game.call("RenameServer", token=game.claim(), serverName="Fäbrik")
    assert ClaimFile(tmp_path / "ServerSettings.7777.sav").claim.server_name == "Fäbrik"


def test_a_save_is_there_when_the_answer_is(game: Game, tmp_path: Path) -> None:
    """SaveGame answers after the file has been written."""
    assert game.call("SaveGame", token=game.claim(), saveName="before_stop") == Answer()
    assert (tmp_path / "server" / "before_stop.sav").exists()


def test_a_save_that_fails_is_refused(game: Game) -> None:
    """A name of which nothing is left makes no file, and the answer says so."""
    assert refusal(game, "SaveGame", token=game.claim(), saveName="///") == ("save_game_failed", 200)


def test_the_state_has_the_games_fields(game: Game) -> None:
    """The state is camelCase, and counts limit, players and time."""
    game.world.join()
    answer = game.call("QueryServerState", trusted=True).data
    assert answer
    state = answer["serverGameState"]
    assert isinstance(state, dict)
    assert (state["playerLimit"], state["numConnectedPlayers"]) == (6, 1)
    assert state["totalGameDuration"] == game.world.duration
    assert state["isGameRunning"] is True


def test_a_trusted_caller_needs_no_token(game: Game) -> None:
    """The local administrator claims, saves and shuts down without a token."""
    claimed = game.call("ClaimServer", trusted=True, serverName="Mine", adminPassword=ADMIN_PASSWORD)
    assert claimed.data
    assert game.call("SaveGame", trusted=True, saveName="x") == Answer()
    assert game.call("Shutdown", trusted=True) == Answer(last=True)
