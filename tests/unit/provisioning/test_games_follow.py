"""When a game's answers are old, and when its address has stayed."""

import pytest

from provisioning import games
from provisioning.games import SILENT, Games, GameSeen

ID = "srv_a_00000001"
READY = GameSeen(answers=True, ready=True)
LOADING = GameSeen(answers=True, ready=False)


class World:
    """Games at addresses, and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.at = {"192.0.2.2": READY}
        self.asked = 0
        self.games = Games(lambda: self.now)

    def ask(self, address: str, _port: int) -> GameSeen:
        """Answer as the game there does."""
        self.asked += 1
        return self.at.get(address, SILENT)

    def look(self, started: str = "10:00", address: str | None = "192.0.2.2") -> GameSeen:
        """Look at the one game."""
        return self.games.look(ID, started, address, 30000)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a world with a game that is ready."""
    world = World()
    monkeypatch.setattr(games, "_ask", world.ask)
    return world


def test_an_answer_is_good_for_a_while(world: World) -> None:
    """Ten seconds where it is ready, one where it is not."""
    world.look()
    world.now += 9.9
    world.look()
    assert world.asked == 1
    world.now += 0.2
    world.at["192.0.2.2"] = LOADING
    world.look()
    world.now += 1.1
    world.look()
    assert world.asked == 3


@pytest.mark.parametrize(("started", "address"), [("11:00", "192.0.2.2"), ("10:00", "192.0.2.3")])
def test_another_run_or_address_is_asked_at_once(world: World, started: str, address: str) -> None:
    """What another one said says nothing of it."""
    world.look()
    world.look(started, address)
    assert world.asked == 2


def test_an_address_settles_by_staying(world: World) -> None:
    """One that comes and goes does not."""
    world.at["192.0.2.3"] = READY
    assert not world.look().settled
    world.now += 1.9
    assert not world.look().settled
    assert not world.look(address="192.0.2.3").settled
    world.now += 1.9
    assert not world.look(address="192.0.2.3").settled
    world.now += 0.2
    assert world.look(address="192.0.2.3").settled


def test_a_game_without_an_address_is_silent(world: World) -> None:
    """Nobody is asked."""
    assert world.look(address=None) == SILENT
    assert world.asked == 0
