"""One nested host for all its tests, and games that end with their test."""

from collections.abc import Callable, Iterator

import pytest

from tests.e2e.nested.game import Game
from tests.e2e.nested.host import LIVE_RESTORE, Host
from tests.waiting import wait_until

Spawn = Callable[[], Game]


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """Return a host; whatever a test does to it is mended when its games are deleted."""
    host = Host()
    try:
        host.up()
        yield host
    finally:
        host.down()


@pytest.fixture
def lasting(host: Host) -> Host:
    """Return the host with an engine whose containers live on when it ends."""
    host.use_engine(LIVE_RESTORE)
    return host


@pytest.fixture
def plain(host: Host) -> Host:
    """Return the host with an engine that takes its containers along when it ends, as engines do by default."""
    host.use_engine()
    return host


@pytest.fixture
def plan(host: Host) -> Iterator[Spawn]:
    """Return what thinks of a server; after the test the host is put right, and what came to be is deleted."""
    games: list[Game] = []

    def plan() -> Game:
        games.append(Game(host))
        return games[-1]

    yield plan
    host.mend()
    for game in games:
        wait_until(lambda game=game: game.delete().ok, within=60, saying=f"{game.id} is deleted")


@pytest.fixture
def spawn(plan: Spawn) -> Spawn:
    """Return what provisions a server and waits until it is settled."""

    def spawn() -> Game:
        game = plan()
        answer = game.spawn()
        assert answer.status_code == 200, answer.text
        game.wait_until_settled()
        return game

    return spawn
