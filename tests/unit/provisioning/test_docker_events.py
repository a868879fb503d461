"""What Docker tells, and what is made of it."""

import pytest

from core.errors import DockerUnavailable
from tests.fakes.world import Agent, World, spec

ID = "srv_a_00000001"


@pytest.fixture(autouse=True)
def _resting(world: World, agent: Agent) -> None:
    """A server whose keeper rests, so that events alone change it."""
    agent.servers.spawn(spec())
    agent.reconciler.stop()
    world.tunnels.stop(ID)
    agent.events.step()


@pytest.mark.parametrize(
    ("told", "by_hand"),
    [
        (["kill", "die", "stop"], True),
        (["kill", "die"], True),
        (["die"], False),
        (["oom", "die"], False),
        (["kill"], False),
        (["kill", "start", "die"], False),
        (["die", "start"], False),
    ],
)
def test_only_a_death_after_a_signal_was_somebody_s_wish(
    world: World, agent: Agent, told: list[str], *, by_hand: bool
) -> None:
    """Docker sends `kill` before `die` where somebody stops a container, and only `die` where the game ended."""
    for action in told:
        world.engine.tell(ID, action)
    agent.events.step()
    assert agent.row().stopped_externally is by_hand


def test_an_event_is_heard_once(world: World, agent: Agent) -> None:
    """The next listening begins behind the last event."""
    world.engine.tell(ID, "kill")
    world.engine.tell(ID, "die")
    agent.events.step()
    agent.hands.servers.update(ID, stopped_externally=False)
    agent.events.step()
    assert not agent.row().stopped_externally


def test_a_stop_of_what_shall_not_run_changes_nothing(world: World, agent: Agent) -> None:
    """Nor does one of a container that is not ours."""
    agent.hands.servers.update(ID, container_wanted=False)
    for name in (ID, "postgres"):
        world.engine.tell(name, "kill")
        world.engine.tell(name, "die")
    assert agent.events.step() == 0.0
    assert not agent.row().stopped_externally


def test_without_docker_the_loop_tries_again(world: World, agent: Agent) -> None:
    """The error is the loop's to say."""
    world.engine.up = False
    with pytest.raises(DockerUnavailable):
        agent.events.step()
