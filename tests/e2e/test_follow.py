"""The tunnel follows its game: rathole alone leaves whoever sent a packet at the wrong moment without an answer.

rathole 0.5.0 drops a UDP visitor for ever after one packet that met a stopped game (client.rs:351), and keeps
each on the address that the game had at his first packet.
"""

import socket
import time
from collections.abc import Iterator

import pytest

from core.errors import GameFailed
from satisfactory.query import build_poll, poll
from tests.e2e.conftest import Spawn
from tests.e2e.deployment import GAME_IMAGE, NETWORK, Deployment
from tests.e2e.game import Game, Player
from tests.waiting import wait_until

PLAYERS = 40
_DIE = ["sh", "-c", "kill -TERM 1"]  # at once and unsaved, as the image dies; Docker starts it again


class Crowd:
    """Players, each with a UDP socket of his own that he keeps, as a game client does."""

    def __init__(self, game: Game) -> None:
        self._sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(PLAYERS)]
        for one in self._sockets:
            one.connect(("127.0.0.1", game.game_port))
            one.setblocking(False)

    def ask(self) -> int:
        """Have each send a packet; return how many have heard something since the last time."""
        heard = 0
        for number, one in enumerate(self._sockets):
            heard += _hear(one)
            one.send(build_poll(number))
        return heard

    def close(self) -> None:
        """Let all leave."""
        for one in self._sockets:
            one.close()


def _hear(one: socket.socket) -> bool:
    """Read all that came; tell whether anything did."""
    heard = False
    try:
        while one.recv(512):
            heard = True
    except OSError:  # nothing more, or the port was closed a moment ago
        return heard
    return heard


@pytest.fixture
def settled(spawn: Spawn) -> Game:
    """Return a game that players can join."""
    game = spawn(environmentVariables={"STANDIN_STARTUP_SECONDS": "2"})
    game.wait_until_settled()
    return game


@pytest.fixture
def crowd(settled: Game) -> Iterator[Crowd]:
    """Let forty players be served."""
    crowd = Crowd(settled)
    wait_until(lambda: crowd.ask() == PLAYERS, within=10, saying="all are served at first", every=0.2)
    yield crowd
    crowd.close()


def _address(game: Game) -> str:
    found: str = game.container.attrs["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
    return found


def _answers_itself(game: Game) -> bool:
    try:
        poll(_address(game), game.game_port, timeout=0.2)
    except GameFailed:
        return False
    return True


def test_forty_who_asked_a_dead_game_are_served_again(settled: Game, crowd: Crowd) -> None:
    """Within 3 s after the game is back, though each sent packets while it was down; by one bounce."""
    pid, started_at = settled.pid, settled.started_at
    settled.container.exec_run(_DIE)
    wait_until(lambda: crowd.ask() == 0, within=5, saying="nobody is served by a dead game", every=0.1)
    wait_until(
        lambda: not crowd.ask() and settled.started_at != started_at and _answers_itself(settled),
        within=20,
        saying="the game is back",
    )
    back = time.monotonic()
    wait_until(lambda: crowd.ask() == PLAYERS, within=3, saying="all forty are served again", every=0.1)
    print(f"served again after {time.monotonic() - back:.2f} s")  # noqa: T201 - a measure
    settled.wait_until_settled()
    assert settled.pid != pid


def test_one_restart_is_one_bounce_and_nothing_is_none(settled: Game) -> None:
    """Each bounce costs every player 30 ms, so there is none without a reason."""
    pids = [settled.pid]

    def note() -> int:
        if settled.pid not in pids:
            pids.append(settled.pid)
        return len(pids)

    quiet = time.monotonic() + 5
    wait_until(lambda: note() > 1 or time.monotonic() > quiet, within=10, saying="five seconds pass", every=0.1)
    assert len(pids) == 1
    settled.container.exec_run(_DIE)
    wait_until(lambda: note() == 2, within=20, saying="the tunnel is begun anew", every=0.1)
    quiet = time.monotonic() + 5
    wait_until(lambda: note() > 2 or time.monotonic() > quiet, within=10, saying="five seconds pass", every=0.1)
    assert len(pids) == 2


def test_another_address_is_followed(deployment: Deployment, settled: Game, crowd: Crowd) -> None:
    """The container is made anew while somebody else's takes its old address: no packet must go there."""
    old = _address(settled)
    squatter = deployment.docker.containers.create(GAME_IMAGE, network=NETWORK, name="srv_e2e_squatter")
    try:
        settled.container.remove(force=True)
        squatter.start()
        squatter.reload()
        assert squatter.attrs["NetworkSettings"]["Networks"][NETWORK]["IPAddress"] == old
        wait_until(lambda: crowd.ask() >= 0 and _answers_itself(settled), within=20, saying="the game is back")
        assert _address(settled) != old
        wait_until(lambda: crowd.ask() == PLAYERS, within=3, saying="all forty are served again", every=0.1)
    finally:
        squatter.remove(force=True)


def test_a_name_that_does_not_resolve_stalls_nobody_else(spawn: Spawn) -> None:
    """One game dies again and again and has no address for ever longer; another one's players notice nothing."""
    dying = spawn(environmentVariables={"STANDIN_CRASH_AFTER": "0.2"})
    other = spawn()
    other.wait_until_settled()
    wait_until(lambda: dying.container.status == "restarting", within=30, saying="it has no address")
    crowd = Crowd(dying)
    with Player(other) as player:
        for _ in range(20):
            crowd.ask()
            player.play_on(5)
    crowd.close()
    assert player.lost == 0
