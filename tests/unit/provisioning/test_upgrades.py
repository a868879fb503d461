"""What is new with an agent touches no running game: it is shown, and applied at the next stop and start."""

from dataclasses import replace
from typing import Any

import pytest

from core.failpoints import Failpoint
from provisioning.runtime import Runtime
from tests.fakes.world import Agent, World, spec
from tests.waiting import wait_until

ID = "srv_a_00000001"


def test_another_template_recreates_no_running_game(world: World, agent: Agent) -> None:
    """The file is written anew, the game goes on, and the next start takes it."""
    agent.servers.spawn(spec())
    wait_until(lambda: agent.servers.view(ID).observed_at, within=5, saying="it is seen")
    assert not agent.servers.view(ID).pending_changes
    agent.reconciler.stop()
    did = list(world.engine.did)
    world.settings = world.settings.model_copy(update={"game_server_image": "another:2"})
    following = world.boot()
    wait_until(lambda: following.servers.view(ID).pending_changes, within=5, saying="it is shown")
    file = world.layout.compose_file(ID)
    wait_until(lambda: "another:2" in file.read_text(), within=5, saying="the file is written")
    assert world.engine.did == did
    following.servers.stop(ID)
    following.servers.start(ID)
    wait_until(lambda: not following.servers.view(ID).pending_changes, within=5, saying="it is applied")


@pytest.fixture
def runtime(world: World, agent: Agent) -> Runtime:
    """Return the loops around an agent whose own container is there."""
    parts: Any = (agent.store, agent.hands, agent.reconciler, agent.events)
    silent: Any = type("Silent", (), {"check": lambda _: None, "step": lambda _: 60.0})()
    agent.servers.spawn(spec())
    world.engine.containers["host-agent"] = replace(world.engine.containers[ID], id="agent", name="host-agent")
    return Runtime(*parts, silent, silent, None)


def test_an_agent_that_was_off_the_network_begins_its_tunnels_anew(
    world: World, agent: Agent, runtime: Runtime
) -> None:
    """Whoever sent a packet meanwhile is stuck in the old ones (rathole 0.5.0)."""
    world.games.answering.add(ID)
    world.later += 1
    agent.reconciler.wake(ID)
    wait_until(lambda: agent.row().bounced_for, within=5, saying="the game has answered")
    bounces = world.tunnels.did.count(f"bounce {ID}")
    runtime._tend_network()
    assert "connect host-agent" in world.engine.did
    wait_until(lambda: world.tunnels.did.count(f"bounce {ID}") == bounces + 1, within=5, saying="it is begun anew")


class DiedError(Exception):
    """The worker is gone."""


def _die(_point: Failpoint) -> None:
    raise DiedError


def test_an_agent_that_died_right_behind_its_join_has_its_successor_do_so(
    world: World, agent: Agent, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To that one the agent was never off the network."""
    world.games.answering.add(ID)
    agent.reconciler.wake(ID)
    wait_until(lambda: agent.row().bounced_for, within=5, saying="the game has answered")
    agent.reconciler.stop()
    bounces = world.tunnels.did.count(f"bounce {ID}")
    monkeypatch.setattr("compose.network.reached", _die)
    with pytest.raises(DiedError):
        runtime._tend_network()
    world.boot()
    wait_until(lambda: world.tunnels.did.count(f"bounce {ID}") == bounces + 1, within=5, saying="it is begun anew")


def test_a_game_that_is_joined_by_an_agent_that_dies_gets_its_tunnel_anew(
    world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it gets its old address back, so that nothing shows that it was ever off the network."""
    agent.servers.spawn(spec())
    world.games.answering.add(ID)
    agent.reconciler.wake(ID)
    wait_until(lambda: agent.row().bounced_for, within=5, saying="the game has answered")
    agent.reconciler.stop()
    bounces, there = world.tunnels.did.count(f"bounce {ID}"), world.engine.containers[ID]
    world.engine.containers[ID] = replace(there, network_ids={}, ip=None)
    world.games.answering.remove(ID)
    monkeypatch.setattr(world.engine, "connect", lambda *_: world.engine.containers.update({ID: there}))
    monkeypatch.setattr("compose.network.reached", _die)
    world.boot()
    wait_until(lambda: world.engine.containers[ID] == there, within=5, saying="it is on the network")
    world.games.answering.add(ID)
    wait_until(lambda: world.tunnels.did.count(f"bounce {ID}") == bounces + 1, within=5, saying="it is begun anew")


def test_an_agent_on_the_network_leaves_its_tunnels_alone(world: World, agent: Agent, runtime: Runtime) -> None:
    """Each bounce costs players 30 ms."""
    world.engine.present = [replace(world.engine.present[0], members={"agent": "host-agent"})]
    before = agent.row().bounced_for
    runtime._tend_network()
    assert "connect host-agent" not in world.engine.did
    assert agent.row().bounced_for == before
