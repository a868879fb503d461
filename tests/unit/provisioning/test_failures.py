"""What fails while nobody waits: shown to whoever asks, until it mends itself."""

from dataclasses import replace

import pytest

from core.errors import ComposeFailed, DockerUnavailable, StoreFailed
from core.models import Phase
from provisioning.failures import Failures
from tests.fakes.world import Agent, World, spec
from tests.waiting import wait_until

ID = "srv_a_00000001"
AWAY = ComposeFailed("image_not_pulled", "The image cannot be pulled: the registry is away.")


@pytest.fixture
def agent(world: World, agent: Agent) -> Agent:
    """Return an agent with one server, whose game runs."""
    agent.servers.spawn(spec())
    world.reached()
    return agent


def lose(world: World, agent: Agent) -> None:
    """Take container and image away, and the registry with them."""
    world.tunnels.stop(ID)
    world.engine.end(ID, "kill", "die", "destroy")
    del world.engine.containers[ID]
    world.engine.images.clear()
    world.engine.pull_fault = AWAY
    agent.reconciler.wake(ID)


def failures(agent: Agent) -> Failures:
    """Return what a keeper of the usual server shows its failures by."""
    return Failures(ID, agent.hands, agent.operations)


def is_shown(agent: Agent) -> bool:
    """Whether whoever asks sees why the game does not run."""
    view = agent.servers.view(ID)
    return (view.phase, view.reason, view.message) == (Phase.FAILED, AWAY.code, AWAY.message)


def test_a_failure_nobody_waits_for_is_shown_until_it_mends_itself(world: World, agent: Agent) -> None:
    """Without a request either way; an agent that is started meanwhile shows it, too."""
    lose(world, agent)
    wait_until(lambda: is_shown(agent), within=5, saying="the view says why")
    assert is_shown(world.boot(start=False))
    world.engine.pull_fault = None
    agent.reconciler.wake(ID, urgent=True)
    world.reached()
    wait_until(lambda: agent.row().failure_code is None, within=5, saying="the failure is forgotten")
    assert agent.servers.view(ID).phase is Phase.STARTING


def test_the_failure_shown_is_the_last_one(world: World, agent: Agent) -> None:
    """What is in the way now can be another than at first."""
    lose(world, agent)
    wait_until(lambda: is_shown(agent), within=5, saying="the view says why")
    world.engine.pull_fault = ComposeFailed("no_space", "The disk is full; free some space.")
    agent.reconciler.wake(ID, urgent=True)
    wait_until(lambda: agent.servers.view(ID).reason == "no_space", within=5, saying="the view says why now")


def test_a_failure_that_cannot_be_kept_is_tried_again_all_the_same(
    world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk takes no word of itself; the keeper goes on as after any other failure."""

    def refuse(*_: object, **__: object) -> None:
        tried.append(True)
        raise StoreFailed("store_failed", "The store cannot be used: database or disk is full.")

    tried: list[bool] = []
    with monkeypatch.context() as patched:
        patched.setattr(agent.hands.servers, "update", refuse)
        lose(world, agent)
        wait_until(lambda: tried, within=5, saying="it was to be written down")
    agent.reconciler.wake(ID, urgent=True)
    wait_until(lambda: is_shown(agent), within=5, saying="the view says why")


@pytest.mark.parametrize("wish", [{"deleting": True}, {"container_wanted": False}, {"crashed": True}])
def test_what_shall_not_run_does_not_fail_to(world: World, wish: dict[str, bool]) -> None:
    """An undo keeps what made it so, and the next start begins with nothing to its name."""
    agent = world.boot(start=False)
    agent.hands.servers.add(spec())
    agent.hands.servers.update(ID, failure_code="no_space", failure_message="The disk is full.", **wish)
    failures(agent).show(agent.row(), None, ComposeFailed("container_not_removed", "Docker cannot remove it."))
    assert agent.row().failure_code == "no_space"


def test_a_game_that_may_run_has_no_failure(world: World) -> None:
    """An agent that starts while Docker is away knows of no game whether it runs."""
    agent = world.boot(start=False)
    agent.hands.servers.add(spec())
    failures(agent).show(agent.row(), None, DockerUnavailable("docker_unavailable", "The Docker engine is away."))
    assert agent.row().failure_code is None


def test_what_failed_is_deleted_as_ever(world: World, agent: Agent) -> None:
    """That something was in the way of its game is in the way of no delete."""
    lose(world, agent)
    wait_until(lambda: is_shown(agent), within=5, saying="the view says why")
    agent.servers.delete(ID)
    world.nothing_left()


def test_a_game_that_runs_has_no_failure(world: World) -> None:
    """What else fails has a place of its own in the view, and must not stand there when the game ends."""
    agent = world.boot()
    agent.servers.spawn(spec())
    look = agent.reconciler.last_look(ID)
    assert look
    agent.reconciler.stop()  # or it would forget the failure
    failures(agent).show(agent.row(), look, AWAY)
    assert agent.row().failure_code is None
    failures(agent).show(agent.row(), replace(look, seen=replace(look.seen, container=None)), AWAY)
    assert agent.row().failure_code == AWAY.code
