"""What the orchestrator is told of the servers: by the agent's own heartbeat, over HTTP, from a host in memory."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import agent as wiring
from core.models import Phase
from orchestrator.node import NodeMeter
from provisioning.loops import Loop
from provisioning.view import ServerView
from tests.fakes.orchestrator import FakeOrchestrator
from tests.fakes.world import Agent, World, spec
from tests.waiting import wait_until

ID = "srv_a_00000001"


@pytest.fixture
def world(orchestrator: FakeOrchestrator, tmp_path: Path) -> Iterator[World]:
    """Return a host of that orchestrator, on which a game is given up at its first death."""
    environ = {
        "ORCHESTRATOR_HOST": "127.0.0.1",
        "ORCHESTRATOR_PORT": str(orchestrator.port),
        "ADVERTISE_ADDRESS": "192.0.2.7",
        "HEARTBEAT_INTERVAL": "0.1",
        "RESTART_BUDGET": "1",
    }
    world = World(tmp_path, **environ)
    yield world
    world.end()


@pytest.fixture
def loops() -> Iterator[list[Loop]]:
    """Return the heartbeats of the test, which end with it."""
    loops: list[Loop] = []
    yield loops
    for loop in loops:
        loop.stop(5.0)


def begin_heartbeat(world: World, agent: Agent, loops: list[Loop]) -> None:
    """Start the loop as the agent does."""
    loop = wiring._heartbeat(world.settings, NodeMeter(world.root), agent.servers)
    assert loop
    loops.append(loop)
    loop.start()


def told(orchestrator: FakeOrchestrator) -> dict[str, Any]:
    """Return the newest heartbeat."""
    return orchestrator.heartbeats[-1][1]


def test_a_new_agent_tells_of_the_games_that_outlived_the_old_one(
    world: World, orchestrator: FakeOrchestrator, loops: list[Loop], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Already its first heartbeat does; the node is registered before anything was looked at."""
    first = world.boot()
    first.servers.spawn(spec())
    first.reconciler.stop()
    following = world.boot(start=False)
    views, asked = following.servers.views, threading.Semaphore(0)

    def counted() -> list[ServerView]:
        asked.release()
        return views()

    monkeypatch.setattr(following.servers, "views", counted)
    begin_heartbeat(world, following, loops)
    for _ in range(3):
        assert asked.acquire(timeout=5)
    assert "node-1" in orchestrator.nodes
    following.reconciler.start()
    wait_until(lambda: orchestrator.heartbeats, within=5, saying="a heartbeat comes")
    first_told = orchestrator.heartbeats[0][1]
    assert (first_told["containerCount"], first_told["runningContainers"]) == (1, [ID])


def test_a_game_that_was_given_up_is_named(world: World, orchestrator: FakeOrchestrator, loops: list[Loop]) -> None:
    """In the heartbeat that follows, and in no one before it; it is then none that runs."""
    world.games.answering.add(ID)
    agent = world.boot()
    agent.servers.spawn(spec())
    begin_heartbeat(world, agent, loops)
    wait_until(lambda: told(orchestrator)["runningContainers"] == [ID], within=5, saying="it is told as running")
    assert told(orchestrator)["crashedServers"] == []
    die(world)
    agent.reconciler.wake(ID)
    wait_until(lambda: agent.servers.view(ID).phase is Phase.CRASHED, within=5, saying="it is given up")
    before = len(orchestrator.heartbeats)
    # The next may have been on its way already.
    wait_until(lambda: len(orchestrator.heartbeats) >= before + 2, within=5, saying="two heartbeats come")
    assert orchestrator.heartbeats[before + 1][1]["crashedServers"] == [ID]
    wait_until(lambda: told(orchestrator)["runningContainers"] == [], within=5, saying="it is told as ended")


def die(world: World) -> None:
    """Let the game die, and Docker be about to start it again."""
    there = world.engine.containers[ID]
    world.games.answering.discard(ID)
    world.engine.containers[ID] = replace(there, status="restarting", restart_count=there.restart_count + 1)
    world.engine.tell(ID, "die")
