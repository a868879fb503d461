"""A game that Docker does not put on the network that was made anew: newer engines refuse it."""

from dataclasses import replace

import pytest

from core.errors import NotFound
from tests.fakes.world import Agent, World, spec
from tests.waiting import wait_until

ID = "srv_a_00000001"
_GONE = "Docker knows nothing of it: could not find a network matching network mode 765372316e4b."


@pytest.fixture
def agent(world: World, agent: Agent) -> Agent:
    """Return an agent with one server, whose game runs."""
    agent.servers.spawn(spec())
    world.reached()
    return agent


def _refuse(*_: object) -> None:
    raise NotFound("docker_not_found", _GONE)


def _take_off(world: World) -> str:
    """Take the game off the network; return which container it is."""
    there = world.engine.containers[ID]
    world.engine.containers[ID] = replace(there, network_ids={}, ip=None)
    return there.id


def test_it_is_made_anew(world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, and then it runs on the network."""
    monkeypatch.setattr(world.engine, "connect", _refuse)
    before = _take_off(world)
    agent.reconciler.wake(ID)
    wait_until(lambda: world.engine.containers[ID].id != before, within=5, saying="it is made anew")
    world.reached()
    assert world.engine.containers[ID].network_ids


def test_where_the_network_is_gone_again_it_is_no_fault_of_the_games(
    world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It runs on, and is put on the next one."""
    before, joined = _take_off(world), world.engine.connect

    def vanish(*_: object) -> None:
        world.engine.present.clear()
        monkeypatch.setattr(world.engine, "connect", joined)
        _refuse()

    monkeypatch.setattr(world.engine, "connect", vanish)
    agent.reconciler.wake(ID)
    wait_until(lambda: world.engine.containers[ID].network_ids, within=5, saying="it is on the network")
    assert world.engine.containers[ID].id == before
