"""Docker stops, hangs and dies: what was wanted runs, what was stopped stays so, and who asks is answered."""

import os
import time
from collections.abc import Callable

import pytest
import requests

from compose.engine import Engine
from provisioning.docker_events import DockerEvents
from provisioning.loops import Loop
from tests.e2e.game import Player
from tests.e2e.nested.conftest import Spawn
from tests.e2e.nested.engine import NestedEngine
from tests.e2e.nested.game import Game
from tests.e2e.nested.host import AGENT, GAME_IMAGE, NETWORK, Host
from tests.waiting import wait_until

AWAY = 300 if os.environ.get("SATIS_LONG") else 3  # seconds
ROUNDS = 20 if os.environ.get("SATIS_LONG") else 3
_CHANGE_WITHIN = 2.0
_READ_WITHIN = 1.0
_READS = (
    "/api/containers",
    "/api/containers/{}/status",
    "/api/stats",
    "/api/rathole/clients",
    "/api/health",
    "/healthz",
)
_CHANGES = ("start", "stop", "restart", "kill")

pytestmark = pytest.mark.timeout(180 + 3 * AWAY)


@pytest.fixture
def plain(host: Host) -> Host:
    """Return the host with an engine that takes its containers along when it ends, as engines do by default."""
    host.engine.restart()
    host.wait_until_ready()
    return host


def timed(ask: Callable[[], requests.Response]) -> tuple[requests.Response, float]:
    """Return an answer, and how many seconds it took."""
    began = time.monotonic()
    answer = ask()
    return answer, time.monotonic() - began


def assert_reads_are_answered(host: Host, game: Game) -> None:
    """Each in its normal time, from what was last seen."""
    for path in _READS:
        answer, seconds = timed(lambda path=path: host.call("GET", path.format(game.id)))
        assert answer.status_code == 200, answer.text
        assert seconds < _READ_WITHIN, path
    assert host.call("GET", "/api/containers").json()["observedAt"]
    assert game.status()["status"] == "running"


def assert_changes_are_refused(host: Host, game: Game, other: Game, code: str) -> None:
    """Each soon, with a sentence that names Docker, and without a trace."""
    asked = [lambda verb=verb: game.ask(verb) for verb in _CHANGES] + [other.spawn]
    for ask in asked:
        answer, seconds = timed(ask)
        assert (answer.status_code, answer.json()["code"]) == (503, code)
        assert "Docker engine" in answer.json()["message"]
        assert seconds < _CHANGE_WITHIN
    ids = {row["serverId"] for row in host.call("GET", "/api/containers").json()["containers"]}
    assert other.id not in ids


def stay_away(host: Host, game: Game, other: Game, code: str) -> None:
    """See for a while that reads are answered, changes are not, and players do not notice."""
    observed = game.status()["agent"]["observedAt"]
    until = time.monotonic() + AWAY
    while time.monotonic() < until:
        assert_reads_are_answered(host, game)
        assert_changes_are_refused(host, game, other, code)
        assert host.call("GET", "/readyz").json()["code"] == code
    assert game.status()["agent"]["observedAt"] == observed


def assert_all_is_right_again(host: Host, game: Game, other: Game, before: tuple[str, ...]) -> None:
    """Without a restart of anything, and changes are made."""
    host.wait_until_ready()
    observed = game.status()["agent"]["observedAt"]
    wait_until(lambda: game.status()["agent"]["observedAt"] > observed, within=30, saying="Docker is looked at again")
    assert (host.started_at(AGENT), game.started_at, str(game.pid)) == before
    assert other.spawn().status_code == 200
    assert game.ask("stop").status_code == 200
    assert not host.is_running(game.id)


def test_docker_stopped(host: Host, plan: Spawn, spawn: Spawn) -> None:
    """Its containers live on (live-restore): changes are 503 within 2 s, reads are 200; then all is right again."""
    game, other = spawn(), plan()
    before = (host.started_at(AGENT), game.started_at, str(game.pid))
    with Player(game) as player:
        host.engine.stop()
        stay_away(host, game, other, "docker_unavailable")
        host.engine.start()
        player.play_on()
    assert player.lost == 0
    assert_all_is_right_again(host, game, other, before)


def test_docker_hung(host: Host, plan: Spawn, spawn: Spawn) -> None:
    """Frozen, it takes connections and never answers: nobody waits for it who need not."""
    game, other = spawn(), plan()
    before = (host.started_at(AGENT), game.started_at, str(game.pid))
    with Player(game) as player:
        host.engine.freeze()
        stay_away(host, game, other, "docker_silent")
        host.engine.thaw()
        player.play_on()
    assert player.lost == 0
    assert_all_is_right_again(host, game, other, before)


@pytest.mark.parametrize("fault", [NestedEngine.stop, NestedEngine.freeze])
def test_a_delete_is_taken_down_and_goes_on(host: Host, spawn: Spawn, fault: Callable[[NestedEngine], None]) -> None:
    """It is answered with 503 as often as it is asked for, and done once Docker is back, without being asked again."""
    game = spawn()
    fault(host.engine)
    for _ in range(5):
        answer, seconds = timed(game.delete)
        assert (answer.status_code, game.phase) == (503, "deleting")
        assert seconds < _CHANGE_WITHIN
    host.mend()
    path = f"/api/containers/{game.id}/status"
    wait_until(lambda: host.call("GET", path).status_code == 404, within=20, saying="it is gone")
    assert not host.field(game.id, "{{.Id}}")


def end_in_order(engine: NestedEngine) -> None:
    """Stop it as a service manager does."""
    engine.stop()


def kill(engine: NestedEngine) -> None:
    """Kill it with -9."""
    engine.kill()


@pytest.mark.parametrize("end", [end_in_order, kill])
def test_what_was_wanted_runs_again(plain: Host, spawn: Spawn, end: Callable[[NestedEngine], None]) -> None:
    """An engine that ended took the games and the agent along; what an operator had stopped stays stopped."""
    plays, rests = spawn(), spawn()
    assert rests.ask("stop").status_code == 200
    end(plain.engine)
    plain.engine.start()
    plain.wait_until_ready()
    plays.wait_until_answered(within=60)
    wait_until(lambda: plays.phase == "ready", within=30, saying="players can join")
    assert (rests.phase, plain.is_running(rests.id)) == ("stopped", False)


def test_a_killed_engine_costs_nothing_that_lives_on(host: Host, spawn: Spawn) -> None:
    """With live-restore neither agent nor game nor tunnel is begun anew."""
    game = spawn()
    before = (host.started_at(AGENT), game.started_at, str(game.pid))
    with Player(game) as player:
        host.engine.kill()
        player.play_on()
        host.engine.start()
        player.play_on()
    assert player.lost == 0
    host.wait_until_ready()
    assert (host.started_at(AGENT), game.started_at, str(game.pid)) == before


def test_a_network_made_anew_while_docker_was_down(plain: Host, spawn: Spawn) -> None:
    """The games hold a network that is gone, and cannot be started as they are: they are made anew on the new one."""
    plays, rests = spawn(), spawn()
    assert rests.ask("stop").status_code == 200
    plain.remove_all_but_games()
    plain.engine.docker("stop", "--time", "1", plays.id)
    plain.engine.docker("network", "rm", NETWORK)
    plain.engine.restart()
    plain.make_network()
    plain.start_all_but_games()
    plays.wait_until_answered(within=60)
    assert (rests.phase, plain.is_running(rests.id)) == ("stopped", False)
    assert rests.ask("start").status_code == 200
    rests.wait_until_answered()


class Heard:
    """The keepers and our own stops, as far as Docker's events see them."""

    def __init__(self) -> None:
        self.by_hand: list[str] = []

    def stopped_by_us(self, _name: str, _time_ns: int) -> bool:
        """Nothing here is ours."""
        return False

    def stopped_by_hand(self, name: str) -> None:
        """Note it."""
        self.by_hand.append(name)

    def wake_known(self, _name: str) -> None:
        """Nobody to wake."""

    def wake_all(self) -> None:
        """Nobody to wake."""


def test_an_engines_own_stop_is_nobodys_wish(plain: Host, plan: Spawn) -> None:  # noqa: ARG001 - mends the host
    """It stops each container as `docker stop` would, and yet nobody wanted the games to be stopped."""
    engine, heard = plain.engine, Heard()
    events = DockerEvents(Engine(engine.socket), heard, heard, clock=time.time)  # type: ignore[arg-type]
    loop = Loop("docker_events", events.step)
    names = [f"srv_nested_heard_{number}" for number in range(4)]
    for name in names:
        words = ["--name", name, "--init", "--restart", "unless-stopped", "--entrypoint", "sleep"]
        engine.docker("run", "--detach", *words, GAME_IMAGE, "600")
    loop.start()
    try:
        for _ in range(ROUNDS):
            engine.restart()
            wait_until(lambda: all(map(plain.is_running, names)), within=30, saying="all run again")
        assert heard.by_hand == []
        engine.docker("stop", names[0])
        wait_until(lambda: heard.by_hand, within=20, saying="a stop by hand is heard")
        assert heard.by_hand == [names[0]]
    finally:
        loop.stop(0)
        engine.docker("rm", "--force", *names)
