"""A real stand-in is saved, claimed and locked by the agent itself; only Docker's exec is a plain process here."""

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from core import proc
from core.models import Saved
from core.proc import Completed
from provisioning.attempt import Attempt, Result
from satisfactory.admin import Admin
from satisfactory.https import GameApi
from satisfactory.local import LocalApi
from satisfactory.saves import KEPT
from tests.integration.test_standin import LOCAL_ADMINISTRATOR, Game
from tests.waiting import wait_until

TIMEOUT = 8.0


@pytest.fixture
def game(tmp_path: Path) -> Iterator[Game]:
    """Return a stand-in that is not started yet."""
    game = Game(tmp_path / "config")
    yield game
    game.end()


def run(argv: Sequence[str], environment: Mapping[str, str], timeout: float) -> Completed:
    """Run a program where the game is, as an exec does in a container."""
    return proc.run(list(argv), deadline=timeout, env={"PATH": os.environ["PATH"], **environment})


def admin_of(game: Game, password: str | None = None) -> Admin:
    """Return the game's administrator."""
    return Admin(LocalApi(run, game.port), GameApi("127.0.0.1", game.port), password)


def attempt(game: Game, name: str = "agent_stop_20260131T120000Z", *, was_played: bool = True) -> Result:
    """Save the game."""
    return Attempt(
        admin=admin_of(game),
        address="127.0.0.1",
        port=game.port,
        data=game.directory,
        name=name,
        was_played=was_played,
        deadline=time.monotonic() + TIMEOUT,
        clock=time.monotonic,
    ).run()


def saved(result: Result) -> Saved | None:
    """Return whether it was saved."""
    return result.outcome.saved if result.outcome else None


def test_a_played_game_is_saved(game: Game) -> None:
    """The file is there, and named in the outcome with the time that it took."""
    game.play(LOCAL_ADMINISTRATOR)
    result = attempt(game)
    assert (saved(result), result.refused) == (Saved.TRUE, False)
    assert result.outcome
    assert (game.saves / str(result.outcome.file)).stat().st_size > 0
    assert 0 < result.outcome.seconds < TIMEOUT


def test_a_slow_save_is_waited_for(game: Game) -> None:
    """The game answers when it has saved, and not before."""
    game.play(LOCAL_ADMINISTRATOR, STANDIN_SAVE_SECONDS="1.5")
    result = attempt(game)
    assert saved(result) is Saved.TRUE
    assert result.outcome
    assert result.outcome.seconds >= 1.5


def test_a_save_that_takes_too_long_is_refused(game: Game) -> None:
    """At the deadline the game goes on, and the reason is in the sentence."""
    game.play(LOCAL_ADMINISTRATOR, STANDIN_SAVE_SECONDS="600")
    result = attempt(game)
    assert (saved(result), result.refused) == (Saved.FALSE, True)
    assert result.outcome
    assert "says nothing" in result.outcome.message


def test_a_save_that_fails_is_refused(game: Game) -> None:
    """The game answers and could not be saved, so it had better go on."""
    game.play(LOCAL_ADMINISTRATOR, STANDIN_SAVE_FAILS="true")
    result = attempt(game)
    assert (saved(result), result.refused) == (Saved.FALSE, True)


def test_without_any_access_it_is_impossible(game: Game) -> None:
    """Its owner claimed it, and neither way is open: that is said, and no reason to go on."""
    game.play()
    assert admin_of(game).claim("Mine", "correct horse")
    result = attempt(game)
    assert (saved(result), result.refused) == (Saved.IMPOSSIBLE, False)


def test_a_game_that_was_never_played_has_nothing_to_save(game: Game) -> None:
    """It loads, or its port is closed."""
    assert attempt(game, was_played=False) == Result(None)
    game.start(LOCAL_ADMINISTRATOR, STANDIN_LOADING_SECONDS="600")
    wait_until(lambda: attempt(game, was_played=False) == Result(None), within=10, saying="it loads")


def test_a_game_that_loads_again_is_waited_for(game: Game) -> None:
    """While it loads another save its API is down; then it is saved after all."""
    game.start(LOCAL_ADMINISTRATOR, STANDIN_LOADING_SECONDS="2.5")
    wait_until(lambda: _answers(game), within=10, saying="the query answers")
    assert saved(attempt(game)) is Saved.TRUE


def _answers(game: Game) -> bool:
    try:
        game.state()
    except Exception:  # noqa: BLE001 - whatever it is, it does not answer yet
        return False
    return True


def test_a_dead_game_is_not_waited_for(game: Game) -> None:
    """It was played and answers no more: it is ended, and said to be unsaved."""
    process = game.play(LOCAL_ADMINISTRATOR)
    process.kill()
    process.wait(timeout=10)
    result = attempt(game)
    assert (saved(result), result.refused) == (Saved.FALSE, False)


def test_a_frozen_game_is_not_waited_for(game: Game) -> None:
    """Its ports take calls and nobody answers: within the time of a few polls it is given up."""
    process = game.play(LOCAL_ADMINISTRATOR)
    process.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    result = attempt(game)
    process.send_signal(signal.SIGCONT)
    assert (saved(result), result.refused) == (Saved.FALSE, False)
    assert time.monotonic() - began < TIMEOUT


def test_old_saves_of_the_agent_go(game: Game) -> None:
    """Five stay, and what the game saved by itself."""
    game.play(LOCAL_ADMINISTRATOR)
    game.call("SaveGame", {"saveName": "standin_autosave_0"})
    for day in range(1, KEPT + 3):
        assert saved(attempt(game, f"agent_stop_2026010{day}T120000Z")) is Saved.TRUE
    names = {path.name for path in game.saves.iterdir()}
    assert names == {"standin_autosave_0.sav", *(f"agent_stop_2026010{day}T120000Z.sav" for day in range(3, 8))}


def test_a_game_is_claimed_and_locked_through_a_real_curl(game: Game) -> None:
    """Quotes, backslashes, dollars and any script go through shell and curl as they are."""
    game.play(LOCAL_ADMINISTRATOR)
    password = "a\"b\\n$HOME `id` '%s' ü 名"
    admin = admin_of(game)
    token = admin.claim(password, "correct horse")
    assert token
    admin.lock(password, token)
    login = {"minimumPrivilegeLevel": "Client", "password": password}
    assert GameApi("127.0.0.1", game.port).call("PasswordLogin", login)["authenticationToken"]
    admin.rename("Other", token)
