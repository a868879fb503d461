"""The administrator of a game: what he may, by which way, and what others can see of it."""

from pathlib import Path

import pytest

from core.errors import DeadlinePassed, GameFailed
from satisfactory.admin import Admin, NoAccessError
from satisfactory.local import LocalApi, NoCurlError, curl_config
from tests.fakes.game import FakeGame

OWNER = "correct horse"
PLAYERS = 'battery "staple" \\ $HOME `id` ü'


@pytest.fixture
def game(tmp_path: Path) -> FakeGame:
    """Return an unclaimed game that trusts its own container."""
    return FakeGame(tmp_path)


def admin_of(game: FakeGame, password: str | None = None) -> Admin:
    """Return the administrator, with a password that the agent set, or without."""
    return Admin(game.local, game, password)


def claimed(game: FakeGame, password: str = OWNER) -> Admin:
    """Claim the game, and return its administrator."""
    assert admin_of(game).claim("Mine", password)
    return admin_of(game, password)


def test_the_local_administrator_saves_a_game_that_its_owner_has_claimed(game: FakeGame) -> None:
    """No password is needed from inside."""
    claimed(game)
    admin_of(game).save_game("agent_stop_20260131T120000Z", 10)
    assert (game.config / "saved" / "server" / "agent_stop_20260131T120000Z.sav").exists()


def test_without_a_local_administrator_the_agents_password_opens(game: FakeGame) -> None:
    """The second way is a login over the network."""
    game.trusts = False
    claimed(game).save_game("agent_stop", 10)
    assert game.calls[-3:] == ["SaveGame", "PasswordLogin", "SaveGame"]
    assert (game.config / "saved" / "server" / "agent_stop.sav").exists()


def test_a_container_without_curl_is_asked_over_the_network(game: FakeGame) -> None:
    """Claim, lock and save go that way as well."""
    game.has_curl = False
    admin = claimed(game)
    token = admin.login()
    assert token
    admin.lock(PLAYERS, token)
    admin.save_game("agent_stop", 10)
    assert game.claims.claim.client_password == PLAYERS


@pytest.mark.parametrize("password", [None, "an old one"])
def test_with_neither_nothing_can_be_saved(game: FakeGame, password: str | None) -> None:
    """It is said that the right is missing, and not that the save failed."""
    claimed(game)
    game.trusts = False
    with pytest.raises(NoAccessError):
        admin_of(game, password).save_game("agent_stop", 10)


def test_a_save_that_fails_is_no_want_of_access(game: FakeGame) -> None:
    """The game's own reason is handed on, and no other way is tried."""
    with pytest.raises(GameFailed, match="save_game_failed") as failed:
        claimed(game).save_game("///", 10)
    assert failed.value.code == "game_refused"
    assert "PasswordLogin" not in game.calls


def test_the_state_tells_whether_it_is_played(game: FakeGame) -> None:
    """Read from inside, where no port of the container is reachable."""
    assert admin_of(game).state(10)["isGameRunning"] is True


def test_a_game_is_claimed_named_and_locked(game: FakeGame) -> None:
    """From then on nobody gets in, or becomes its owner, without a password; characters stay as they are."""
    admin = admin_of(game)
    token = admin.claim("Würfel & Söhne", OWNER)
    assert token
    admin.lock(PLAYERS, token)
    claim = game.claims.claim
    assert (claim.server_name, claim.admin_password, claim.client_password) == ("Würfel & Söhne", OWNER, PLAYERS)


def test_a_claimed_game_is_left_alone(game: FakeGame) -> None:
    """Whoever was faster stays its owner."""
    claimed(game, "the owner's own")
    admin = admin_of(game, OWNER)
    assert admin.claim("Ours", OWNER) is None
    assert admin.login() is None
    assert (game.claims.claim.server_name, game.claims.claim.admin_password) == ("Mine", "the owner's own")


def test_it_can_be_named_and_locked_again(game: FakeGame) -> None:
    """A crash between claim and lock is mended by doing both again."""
    admin = claimed(game)
    for _ in range(2):
        token = admin.login()
        assert token
        admin.rename("Other", token)
        admin.lock(PLAYERS, token)
    assert (game.claims.claim.server_name, game.claims.claim.client_password) == ("Other", PLAYERS)


def test_no_argument_holds_a_secret(game: FakeGame) -> None:
    """A process list on the host shows arguments."""
    admin = claimed(game)
    token = admin.login()
    assert token
    admin.lock(PLAYERS, token)
    shown = " ".join(" ".join(argv) for argv in game.argvs)
    assert not any(secret in shown for secret in (OWNER, PLAYERS, token, "adminPassword"))


def test_a_game_that_is_not_up_is_named_as_such(game: FakeGame) -> None:
    """What curl says goes into the sentence."""
    game.up = False
    with pytest.raises(GameFailed, match="Failed to connect") as failed:
        admin_of(game).save_game("agent_stop", 10)
    assert failed.value.code == "game_unreachable"


def test_silence_is_told_from_a_refused_connection() -> None:
    """Whether curl gave up or had to be given up: the game says nothing."""

    def gives_up(*_: object) -> object:
        raise DeadlinePassed("exec_timeout", "late")

    with pytest.raises(GameFailed) as failed:
        LocalApi(gives_up, 7777).call("HealthCheck", {})  # type: ignore[arg-type]  # never returns
    assert failed.value.code == "game_silent"


def test_no_shell_is_no_curl(game: FakeGame) -> None:
    """The caller may then try another way."""
    game.has_curl = False
    with pytest.raises(NoCurlError):
        game.local.call("HealthCheck", {})


def test_a_token_that_would_break_out_of_its_line_is_refused(game: FakeGame) -> None:
    """The token is the game's text, and becomes a line of curl's configuration."""
    game.call = lambda *_, **__: {"authenticationToken": 'a"\noutput = /etc/passwd'}  # type: ignore[method-assign]
    game.has_curl = False
    with pytest.raises(GameFailed, match="gave no token"):
        admin_of(game).claim("Mine", OWNER)


def test_whatever_is_sent_is_one_line_of_the_configuration() -> None:
    """A name with a line break or quotes adds no option."""
    config = curl_config("https://127.0.0.1:1/api/v1", b'{"a": "\\n\\" \\\\"}', "t", 3.5)
    lines = config.splitlines()
    assert sum(line.startswith("data-binary") for line in lines) == 1
    assert "max-time = 3.5" in lines
    assert len(lines) == len([line for line in lines if line])
