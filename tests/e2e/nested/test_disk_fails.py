"""The disk is full, the store is damaged: the agent says so, nothing is half written, and it goes on."""

from tests.e2e.nested.conftest import Spawn
from tests.e2e.nested.host import AGENT, DATA, Host
from tests.waiting import wait_until

DATABASE = f"{DATA}/agent/agent.db"
_RUBBISH = "This is no database."


def test_a_full_disk_is_said_and_outlived(host: Host, plan: Spawn, spawn: Spawn) -> None:
    """No change is begun and none is half done; games and tunnels go on, and so does the agent once there is room."""
    plays, comes = spawn(), plan()
    before = (plays.started_at, plays.pid, plays.files())
    host.fill_disk()
    for answer in (comes.spawn(), plays.ask("stop")):
        assert (answer.status_code, answer.json()["code"]) == (503, "store_failed")
        assert "full" in answer.json()["message"]
    assert plays.status()["agent"]["phase"] == "ready"
    assert plays.is_answered()
    assert comes.files() == []
    assert (plays.started_at, plays.pid, plays.files()) == before
    host.make_room()
    assert comes.spawn().status_code == 200
    assert plays.ask("stop").status_code == 200


def test_an_agent_that_starts_on_a_full_disk(host: Host, spawn: Spawn) -> None:
    """It serves, says that it is not ready and why, and is when there is room; the game runs all the while."""
    game = spawn()
    started_at = game.started_at
    host.fill_disk()
    host.engine.docker("restart", "--time", "20", AGENT)
    answer = wait_until(lambda: host.call("GET", "/readyz"), within=30, saying="the agent serves")
    assert (answer.status_code, answer.json()["code"]) == (503, "store_failed")
    host.make_room()
    host.wait_until_ready()
    game.wait_until_answered()
    assert game.started_at == started_at


def test_a_damaged_store_is_kept_and_built_again(host: Host, spawn: Spawn) -> None:
    """/readyz says it, the games play on; `agent.py recover` makes a new store of what stands beside their data."""
    plays, rests = spawn(), spawn()
    assert rests.ask("stop").status_code == 200
    started_at = plays.started_at
    host.engine.docker("stop", AGENT)
    host.engine.inside("sh", "-c", f"rm {DATABASE}*; echo '{_RUBBISH}' > {DATABASE}")
    host.engine.docker("start", AGENT)
    answer = wait_until(lambda: host.call("GET", "/readyz"), within=30, saying="the agent serves")
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
