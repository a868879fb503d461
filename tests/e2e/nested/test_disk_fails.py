"""The disk is full, the store is damaged: the agent says so, nothing is half written, and it goes on."""

import re

import requests

from tests.e2e.nested.conftest import Spawn
from tests.e2e.nested.host import AGENT, DATA, EDGE, Host
from tests.waiting import wait_until

DATABASE = f"{DATA}/agent/agent.db"
_RUBBISH = "This is no database."
# By SQLite, when it is opened as well, and by the kernel.
_NO_ROOM = re.compile("is full|disk I/O error|No space left")


def assert_refused_for_room(answer: requests.Response) -> None:
    """With a sentence that says why."""
    assert (answer.status_code, bool(_NO_ROOM.search(answer.json()["message"]))) == (503, True), answer.text


def test_a_full_disk_is_said_and_outlived(host: Host, plan: Spawn, spawn: Spawn) -> None:
    """No change is begun and none is half done; games and tunnels go on, and so does the agent once there is room."""
    plays, comes = spawn(), plan()
    before = (plays.started_at, plays.pid, plays.files())
    host.fill_disk()
    for answer in (comes.spawn(), plays.ask("stop")):
        assert_refused_for_room(answer)
    assert plays.status()["agent"]["phase"] == "ready"
    assert plays.is_answered()
    assert host.call("GET", f"/api/containers/{comes.id}/status").status_code == 404
    assert comes.files() == []
    # rathole has much to say while the VPS is away, and dies where it can say it nowhere.
    host.engine.docker("restart", "--time", "1", EDGE)
    plays.wait_until_answered()
    assert (plays.started_at, plays.pid, plays.files()) == before
    host.make_room()
    assert comes.spawn().status_code == 200
    assert plays.ask("stop").status_code == 200


def test_an_agent_that_starts_on_a_full_disk(host: Host, spawn: Spawn, plan: Spawn) -> None:
    """It serves, and begins nothing; once there is room, players reach the game, which ran on."""
    game, comes = spawn(), plan()
    started_at = game.started_at
    host.engine.docker("stop", AGENT)
    host.fill_disk()
    host.engine.docker("start", AGENT)
    wait_until(lambda: host.call("GET", "/api/health").ok, within=30, saying="the agent serves")
    assert_refused_for_room(comes.spawn())
    host.make_room()
    host.wait_until_ready()
    game.wait_until_answered()
    assert comes.spawn().status_code == 200
    assert game.started_at == started_at


def test_a_damaged_store_is_kept_and_built_again(host: Host, spawn: Spawn) -> None:
    """/readyz says it, the games play on; `agent.py recover` makes a new store of what stands beside their data."""
    plays, rests = spawn(), spawn()
    assert rests.ask("stop").status_code == 200
    started_at = plays.started_at
    host.engine.docker("stop", AGENT)
    host.engine.inside("sh", "-c", f"rm {DATABASE}*; echo '{_RUBBISH}' > {DATABASE}")
    host.engine.docker("start", AGENT)
    wait_until(lambda: host.call("GET", "/api/health").ok, within=30, saying="the agent serves")
    answer = host.call("GET", "/readyz")
    assert answer.status_code == 503
    assert DATABASE in answer.json()["message"]
    assert host.engine.inside("cat", DATABASE).strip() == _RUBBISH
    host.engine.docker("stop", AGENT)
    assert plays.id in host.recover()
    host.engine.docker("start", AGENT)
    host.wait_until_ready()
    plays.wait_until_answered()
    wait_until(lambda: plays.phase == "ready", within=30, saying="players can join")
    assert (plays.started_at, rests.phase, host.is_running(rests.id)) == (started_at, "stopped", False)
    assert _RUBBISH in host.engine.inside("sh", "-c", f"cat {DATABASE}.damaged-*")
