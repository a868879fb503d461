"""The manager and the VPS fail in every way they can: the game runs, the answer says what is wrong, and it passes."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.nested.conftest import Spawn
from tests.e2e.nested.game import Game
from tests.e2e.nested.host import EDGE, SLOW, Host
from tests.e2e.nested.manager import Fault
from tests.waiting import wait_until

LONG = bool(os.environ.get("SATIS_LONG"))
OUTAGES = [60, 600] if LONG else [5]  # seconds
SILENCE = 60 if LONG else 5  # seconds

pytestmark = [pytest.mark.long, pytest.mark.timeout(240 + 2 * sum(OUTAGES))]


FAULTS: list[Fault] = ["down", "html", "half", "exists", "foreign"]


def test_a_manager_that_fails(host: Host, plan: Spawn) -> None:
    """The game runs and the answer names the manager; once that works, the next request brings the tunnel."""
    games = {fault: plan() for fault in FAULTS}
    host.manager.faults.update({game.id: fault for fault, game in games.items()})
    with ThreadPoolExecutor() as pool:
        list(pool.map(assert_spawned_without_tunnel, games.values()))
        host.manager.faults.clear()
        assert [answer.status_code for answer in pool.map(lambda game: game.ask("start"), games.values())] == [200] * 5
        list(pool.map(Game.wait_until_answered, games.values()))


def assert_spawned_without_tunnel(game: Game) -> None:
    """It is a success, soon, with a sentence about the manager."""
    answer = game.spawn(timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.json()["agent"]["phase"] in {"starting", "degraded"}
    tunnel = answer.json()["agent"]["tunnel"]
    assert (tunnel["state"], tunnel["reason"]) in {("backoff", "manager_unreachable"), ("backoff", "config_refused")}
    assert tunnel["message"]


def test_a_slow_manager(host: Host, plan: Spawn) -> None:
    """It is waited for; one that takes 30 s an answer is given up after a minute. Other servers do not wait."""
    slow, quick = plan(), plan()
    host.manager.faults[slow.id] = "slow"
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(slow.spawn)
        began = time.monotonic()
        assert quick.spawn().status_code == 200
        assert time.monotonic() - began < SLOW
        answer = asked.result()
        assert time.monotonic() - began < 80
    assert answer.status_code == 200, answer.text
    assert host.is_running(slow.id)
    host.manager.faults.clear()
    slow.wait_until_answered(within=60)


@pytest.mark.parametrize("seconds", OUTAGES)
def test_the_vps_is_gone(host: Host, spawn: Spawn, seconds: float) -> None:
    """Its name does not resolve any more; when it is back, so are the players, and the game did not notice."""
    game = spawn()
    started_at = game.started_at
    host.engine.docker("stop", "--time", "1", EDGE)
    wait_until(lambda: game.tunnel["reason"] == "vps_unreachable", within=20, saying="the tunnel says so")
    assert game.phase == "degraded"
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert host.is_ready()
        time.sleep(0.2)
    host.engine.docker("start", EDGE)
    game.wait_until_answered(within=60)
    assert game.started_at == started_at


def test_the_vps_takes_connections_and_says_nothing(host: Host, spawn: Spawn) -> None:
    """A client that begins then hears nothing: after 15 s the tunnel says so, and is up once the VPS goes on."""
    game = spawn()
    assert game.ask("stop").status_code == 200
    host.engine.docker("pause", EDGE)
    assert game.ask("start").status_code == 200
    wait_until(lambda: game.tunnel["reason"] == "stuck", within=30, saying="the tunnel is stuck", every=0.2)
    assert "VPS" in game.tunnel["message"]
    wait_until(lambda: game.phase == "degraded", within=30, saying="the game runs", every=0.2)
    until = time.monotonic() + SILENCE
    while time.monotonic() < until:
        assert host.is_running(game.id)
        time.sleep(0.2)
    host.engine.docker("unpause", EDGE)
    game.wait_until_answered(within=60)
