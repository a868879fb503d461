"""What comes between a game and its end: a kill or a delete amid its save, a full disk, a stop by hand."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from core.errors import Conflict, ManagerFailed, StoreFailed
from core.models import OperationKind, OperationStatus, Phase
from provisioning import actions, record
from tests.fakes.world import Agent, World, spec
from tests.waiting import wait_until

ID = "srv_a_00000001"


@pytest.fixture
def pool() -> ThreadPoolExecutor:
    """Return callers that may wait."""
    return ThreadPoolExecutor(2)


class HeldSave:
    """A save that goes on until the game dies, as a call into its container does, and until it is let go."""

    def __init__(self, world: World) -> None:
        self.begun = threading.Event()
        self.noticed = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()
        self._world = world

    def before_end(self, *_: object) -> None:
        """Fail once the game is dead."""
        self.begun.set()
        wait_until(lambda: not self._world.engine.alive(ID), within=10, saying="the game is ended")
        self.noticed.set()
        assert self.may_end.wait(10)
        raise Conflict("save_failed", "It could not be saved.")


@pytest.fixture
def held(world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> HeldSave:
    """Return the save of the usual server, which runs."""
    agent.servers.spawn(spec())
    held = HeldSave(world)
    monkeypatch.setattr(world.saving, "before_end", held.before_end)
    return held


def stopping(agent: Agent, pool: ThreadPoolExecutor, held: HeldSave) -> Future[Any]:
    """Stop the server, which is being saved by now."""
    stop = pool.submit(agent.servers.stop, ID)
    assert held.begun.wait(5)
    return stop


def assert_superseded(stop: Future[Any]) -> None:
    """Hold that who stopped the server was told that somebody else had his way."""
    error = stop.exception(5)
    assert isinstance(error, Conflict)
    assert error.code == "superseded"


def test_a_save_that_fails_does_not_undo_a_kill(
    world: World, agent: Agent, pool: ThreadPoolExecutor, held: HeldSave
) -> None:
    """The stop that was to be refused is superseded: the kill's wish stands."""
    held.may_end.clear()
    stop = stopping(agent, pool, held)
    kill = pool.submit(agent.servers.kill, ID)
    wait_until(lambda: world.count(f"kill {ID}"), within=5, saying="it is killed")
    held.may_end.set()
    assert kill.result(5).phase is Phase.STOPPED
    assert_superseded(stop)
    assert (agent.row().container_wanted, world.engine.alive(ID)) == (False, False)
    last = agent.operations.last(ID)
    assert last
    assert (last.kind, last.status) == (OperationKind.KILL, OperationStatus.SUCCEEDED)


def test_a_delete_does_not_wait_for_a_save(
    world: World, agent: Agent, pool: ThreadPoolExecutor, held: HeldSave
) -> None:
    """What is saved is about to go, so the game is ended under its save."""
    stop = stopping(agent, pool, held)
    agent.servers.delete(ID)
    assert held.noticed.is_set()
    assert_superseded(stop)
    world.nothing_left()


def test_a_delete_makes_room_on_a_full_disk(world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the record that it is to go nor a place for what goes can be written."""
    agent.servers.spawn(spec())

    def full(*_: object) -> None:
        raise StoreFailed("file_not_written", "No space left on device.")

    monkeypatch.setattr(record, "write_atomic", full)
    monkeypatch.setattr(actions, "make_private_directory", full)
    agent.servers.delete(ID)
    world.nothing_left()


def test_nothing_is_remembered_of_a_server_that_is_gone(agent: Agent) -> None:
    """Else an agent grows with each server that it ever had."""
    agent.servers.spawn(spec())
    agent.servers.delete(ID)
    agent.hands.instances.step()
    assert (agent.hands.instances._attempts, dict(agent.hands.stops._ours)) == ({}, {})


def test_a_keeper_rests_while_the_manager_is_away_and_the_game_stopped(world: World, agent: Agent) -> None:
    """Nobody asks the manager for a game that does not run, so that it may be asked is no reason to look."""
    world.manager.fault = ManagerFailed("manager_unreachable", "It is away.")
    agent.servers.spawn(spec())
    world.engine.end(ID, "kill", "die", "stop")
    agent.events.step()
    keeper = agent.reconciler._keepers[ID]
    keeper.loop.stop(5)
    world.later += 100
    waits = keeper.step()
    assert keeper.last_look
    assert (keeper.last_look.seen.manager_failed, keeper.last_look.seen.manager_due) == (True, True)
    assert waits > 1
