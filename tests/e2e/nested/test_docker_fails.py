"""Docker stops, hangs and dies while its containers live on: players do not notice, and who asks is answered."""

import os
import time
from collections.abc import Callable

import pytest
import requests

from tests.e2e.game import Player
from tests.e2e.nested.conftest import Spawn
from tests.e2e.nested.game import Game
from tests.e2e.nested.host import AGENT, Host
from tests.e2e.rounds import ROUNDS
from tests.waiting import wait_until

AWAY = 60 if os.environ.get("SATIS_LONG") else 3  # seconds
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

pytestmark = [pytest.mark.long, pytest.mark.timeout(180 + 3 * AWAY)]


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


def assert_delete_is_taken_down(game: Game) -> None:
    """It is answered with 503 as often as it is asked for, though it has begun and will go on."""
    for _ in range(3):
        answer, seconds = timed(game.delete)
        assert (answer.status_code, game.phase) == (503, "deleting")
        assert seconds < _CHANGE_WITHIN


def stay_away(host: Host, game: Game, other: Game, code: str) -> None:
    """See for a while that reads are answered and changes are not."""
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


def test_docker_stopped(lasting: Host, plan: Spawn, spawn: Spawn) -> None:
    """Its containers live on (live-restore): changes are 503 within 2 s, reads are 200; then all is right again."""
    game, gone, other = spawn(), spawn(), plan()
    before = (lasting.started_at(AGENT), game.started_at, str(game.pid))
    with Player(game) as player:
        lasting.engine.stop()
        stay_away(lasting, game, other, "docker_unavailable")
        assert_delete_is_taken_down(gone)
        lasting.engine.start()
        player.play_on()
    assert player.lost == 0
    assert_all_is_right_again(lasting, game, other, before)
    wait_until(lambda: not lasting.field(gone.id, "{{.Id}}"), within=30, saying="the delete has gone on")


def test_docker_hung(lasting: Host, plan: Spawn, spawn: Spawn) -> None:
    """Frozen, it takes connections and never answers: nobody waits for it who need not."""
    game, gone, other = spawn(), spawn(), plan()
    before = (lasting.started_at(AGENT), game.started_at, str(game.pid))
    with Player(game) as player:
        lasting.engine.freeze()
        stay_away(lasting, game, other, "docker_silent")
        assert_delete_is_taken_down(gone)
        lasting.engine.thaw()
        player.play_on()
    assert player.lost == 0
    assert_all_is_right_again(lasting, game, other, before)
    wait_until(lambda: not lasting.field(gone.id, "{{.Id}}"), within=30, saying="the delete has gone on")


@pytest.mark.timeout(180 + 30 * ROUNDS)
def test_a_killed_engine_costs_nothing_that_lives_on(lasting: Host, spawn: Spawn) -> None:
    """With live-restore neither agent nor game nor tunnel is begun anew."""
    game = spawn()
    before = (lasting.started_at(AGENT), game.started_at, str(game.pid))
    with Player(game) as player:
        for _ in range(ROUNDS):
            lasting.engine.kill()
            player.play_on()
            lasting.engine.start()
            player.play_on()
            lasting.wait_until_ready()
            assert (lasting.started_at(AGENT), game.started_at, str(game.pid)) == before
    assert player.lost == 0
