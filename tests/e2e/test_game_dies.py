"""A game that dies: tried again, given up when it is too often, and why is told."""

from tests.e2e.conftest import Spawn
from tests.e2e.deployment import Deployment, wait_until_back
from tests.waiting import wait_until


def test_a_crash_loop_is_ended_and_told(deployment: Deployment, spawn: Spawn) -> None:
    """Five deaths (exit code 0) of a game that was ready: stopped, with the end of its log, until a start."""
    game = spawn(environmentVariables={"STANDIN_CRASH_AFTER": "3"})
    wait_until(lambda: game.container.attrs["RestartCount"] >= 2, within=30, saying="it dies", every=0.25)
    deployment.kill(deployment.worker())
    wait_until_back(deployment, within=5)
    wait_until(lambda: game.phase == "crashed", within=60, saying=f"{game.id} is given up", every=0.25)
    wait_until(lambda: game.container.status == "exited", within=20, saying="its container is stopped", every=0.25)

    agent = game.status()["agent"]
    assert agent["reason"] == "died_too_often"
    assert any("Server API listening" in line for line in agent["lastCrash"]["log"])
    assert deployment.call("GET", "/api/stats").json()["crashedServers"] == [game.id]

    game.order("start")
    assert game.phase in {"starting", "degraded", "ready"}
    assert deployment.call("GET", "/api/stats").json()["crashedServers"] == []


def test_a_game_that_never_gets_ready_is_tried_on(spawn: Spawn) -> None:
    """As after a power cut without Steam: it says so, and goes on."""
    game = spawn(environmentVariables={"STANDIN_CRASH_AFTER": "0.5", "STANDIN_STARTUP_SECONDS": "60"})
    wait_until(lambda: game.container.attrs["RestartCount"] >= 6, within=60, saying="it dies six times", every=0.25)
    wait_until(
        lambda: (game.phase, game.status()["agent"]["reason"]) == ("starting", "died_before_ready"),
        within=10,
        saying="it is starting, with the reason",
    )


def test_a_want_of_memory_is_named(spawn: Spawn) -> None:
    """The kernel ends the game, as it does where a factory outgrows its limit."""
    game = spawn()
    game.wait_until_settled()
    # The game is made the one that the kernel chooses, then its memory is used up beside it.
    game.container.exec_run(["sh", "-c", "echo 1000 > /proc/1/oom_score_adj"])
    game.container.exec_run(["python3", "-c", "bytearray(3 << 30)"])
    wait_until(
        lambda: game.status()["agent"]["reason"] == "oom_killed", within=20, saying="the reason is told", every=0.05
    )
