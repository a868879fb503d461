"""Asking games, seldom enough; and where their files are."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import GameFailed
from provisioning import games
from provisioning.games import SILENT, Games, GameSeen
from provisioning.layout import Layout
from satisfactory.query import GameState


class Said:
    """What a game says to a query."""

    def __init__(self, state: GameState) -> None:
        self.state = state


Say = Callable[[], Said]


class Polled:
    """Games whose clock stands still, and that say what a test wants."""

    def __init__(self) -> None:
        self.now, self.asked = 0.0, 0
        self.says: Say = lambda: Said(GameState.PLAYING)
        self.games = Games(lambda: self.now)

    def poll(self, _address: str, _port: int, *, timeout: float) -> Said:
        """Count, and answer."""
        assert timeout < 1
        self.asked += 1
        return self.says()

    def look(self, started_at: str = "t1", address: str | None = "172.20.0.2") -> GameSeen:
        """Look at the usual game."""
        return self.games.look("srv_a", started_at, address, 30000)


@pytest.fixture
def polled(monkeypatch: pytest.MonkeyPatch) -> Polled:
    """Return games in a test's hand."""
    made = Polled()
    monkeypatch.setattr(games, "poll", made.poll)
    return made


def test_a_ready_game_is_asked_each_ten_seconds(polled: Polled) -> None:
    """In between, its last answer holds."""
    for polled.now in (0.0, 5.0, 9.9, 10.0):
        assert replace(polled.look(), settled=False) == GameSeen(answers=True, ready=True, played=True)
    assert polled.asked == 2


def test_a_loading_game_is_asked_each_second(polled: Polled) -> None:
    """It answers, and players cannot join yet."""
    polled.says = lambda: Said(GameState.LOADING)
    for polled.now in (0.0, 0.9, 1.0):
        assert polled.look() == GameSeen(answers=True, ready=False)
    assert polled.asked == 2


def test_a_silent_game_is_no_error(polled: Polled) -> None:
    """It starts, or is gone."""

    def silent() -> Said:
        raise GameFailed("game_silent", "The game does not answer.")

    polled.says = silent
    assert polled.look() == SILENT


def test_another_run_is_asked_at_once(polled: Polled) -> None:
    """What the game said before its restart says nothing of it now; nor after it was forgotten."""
    polled.look()
    polled.look("t2")
    polled.games.forget("srv_a")
    polled.look("t2")
    assert polled.asked == 3


def test_a_game_without_address_is_not_asked(polled: Polled) -> None:
    """It is on no network that the agent is on."""
    assert polled.look(address=None) == SILENT
    assert polled.asked == 0


def test_the_layout_is_what_operators_know() -> None:
    """Paths that hosts of the earlier agent have already."""
    layout = Layout(Path("/data"))
    assert str(layout.client_config("a")) == "/data/rathole/a/client.toml"
    assert str(layout.compose_file("a")) == "/data/satisfactory/a/docker-compose.yml"
    assert str(layout.record("a")) == "/data/satisfactory/a/server.json"
    assert str(layout.data("a")) == "/data/satisfactory/a/data/a"
    assert str(layout.trash_of("a")) == "/data/.trash/a"
    assert str(layout.database) == "/data/agent/agent.db"
    assert str(layout.lock) == "/data/agent/lock"
