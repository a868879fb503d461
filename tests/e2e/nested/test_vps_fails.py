"""The manager and the VPS fail in every way they can: the game runs, the answer says what is wrong, and it passes."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.nested.conftest import Spawn
from tests.e2e.nested.host import EDGE, Host
from tests.e2e.nested.manager import Fault
from tests.waiting import wait_until

LONG = bool(os.environ.get("SATIS_LONG"))
OUTAGES = [60, 600] if LONG else [5]  # seconds

pytestmark = pytest.mark.timeout(240 + 2 * sum(OUTAGES))


@pytest.mark.parametrize("fault", ["down", "html", "half", "exists", "foreign"])
def test_a_manager_that_fails(host: Host, plan: Spawn, fault: Fault) -> None:
    """The game runs and the answer names the manager; once that works, the next request brings the tunnel."""
    game = plan()
    host.manager.faults[game.id] = fault
    answer = game.spawn(timeout=20)
    assert answer.status_code == 200, answer.text
    tunnel = answer.json()["agent"]["tunnel"]
    reason = "config_refused" if fault == "foreign" else "manager_unreachable"
    assert (tunnel["state"], tunnel["reason"]) == ("backoff", reason)
    assert host.is_running(game.id)
    del host.manager.faults[game.id]
    assert game.ask("start").status_code == 200
    game.wait_until_answered()


def test_a_slow_manager(host: Host, plan: Spawn) -> None:
    """It is waited for; one that takes 30 s an answer is given up after a minute, and the game runs without."""
    game = plan()
    host.manager.faults[game.id] = "slow"
    began = time.monotonic()
    answer = game.spawn()
    assert answer.status_code == 200, answer.text
    assert host.is_running(game.id)
    assert time.monotonic() - began < 80
    del host.manager.faults[game.id]
    game.wait_until_answered(within=60)


def test_other_servers_do_not_wait_for_a_slow_manager(host: Host, plan: Spawn) -> None:
    """It is slow for one of them only."""
    slow, quick = plan(), plan()
    host.manager.faults[slow.id] = "slow"
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(slow.spawn)
        began = time.monotonic()
        assert quick.spawn().status_code == 200
        assert time.monotonic() - began < 9
        assert answer.result().status_code == 200


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


@pytest.mark.parametrize("seconds", OUTAGES)
def test_the_vps_takes_connections_and_says_nothing(host: Host, spawn: Spawn, seconds: float) -> None:
    """A client that begins then hears nothing: after 15 s the tunnel says so, and is up once the VPS goes on."""
    game = spawn()
    assert game.ask("stop").status_code == 200
    host.engine.docker("pause", EDGE)
    assert game.ask("start").status_code == 200
    wait_until(lambda: game.tunnel["reason"] == "stuck", within=30, saying="the tunnel is stuck", every=0.2)
    assert "VPS" in game.tunnel["message"]
    wait_until(lambda: game.phase == "degraded", within=30, saying="the game runs", every=0.2)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert host.is_running(game.id)
        time.sleep(0.2)
    host.engine.docker("unpause", EDGE)
    game.wait_until_answered(within=60)
