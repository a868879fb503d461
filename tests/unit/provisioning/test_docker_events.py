"""What Docker's events mean: whose stop it was, and who is to be looked at."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from compose.container import Container, Event
from core.errors import DockerUnavailable
from provisioning.docker_events import DockerEvents
from tests.unit.provisioning.test_crashes import FIRST, ID


class World:
    """Docker, the keepers and our own stops, as far as the events see them."""

    def __init__(self) -> None:
        self.container_now: Container | None = replace(FIRST, status="exited")
        self.away = False
        self.ours = False
        self.lines: list[Event] = []
        self.asked_from: list[int] = []
        self.by_hand: list[str] = []
        self.woken: list[str] = []
        self.now = 100.0
        self.events_loop = DockerEvents(self, self, self, clock=lambda: self.now)  # type: ignore[arg-type]

    def events(self, since_ns: int) -> Iterator[Event]:
        """Yield what the test says."""
        self.asked_from.append(since_ns)
        lines, self.lines = self.lines, []
        return iter(lines)

    def container(self, _name: str) -> Container | None:
        """Return what the container is now."""
        if self.away:
            raise DockerUnavailable("docker_unavailable", "It is gone.")
        return self.container_now

    def stopped_by_us(self, _name: str, _time_ns: int) -> bool:
        """Whether we are at it."""
        return self.ours

    def stopped_by_hand(self, name: str) -> None:
        """Note it."""
        self.by_hand.append(name)

    def wake_known(self, name: str) -> None:
        """Note it."""
        self.woken.append(name)

    def wake_all(self) -> None:
        """Note it."""
        self.woken.append("*")

    def see(self, *actions: str, kind: str = "container") -> None:
        """Let these events come in."""
        self.lines = [Event(kind, ID, action, 200 + number, {}) for number, action in enumerate(actions)]
        self.events_loop.step()


@pytest.fixture
def world() -> World:
    """Return a world with one game."""
    return World()


def test_a_stop_by_hand_is_respected(world: World) -> None:
    """A kill that was not ours, the end, and a container that stays ended."""
    world.see("kill", "die", "stop")
    assert world.by_hand == [ID]


def test_a_death_is_no_stop(world: World) -> None:
    """There is no kill before it."""
    world.see("die")
    assert (world.by_hand, world.woken) == ([], [ID])


def test_our_own_stop_is_nobody_elses(world: World) -> None:
    """The agent stops games too."""
    world.ours = True
    world.see("kill", "die", "stop")
    assert not world.by_hand


def test_an_engine_that_goes_away_stops_by_nobodys_hand(world: World) -> None:
    """It says the same of each container as a `docker stop`, and then does not answer: the games are wanted on."""
    world.away = True
    with pytest.raises(DockerUnavailable):
        world.see("kill", "die")
    world.away = False
    world.see("die")
    assert not world.by_hand


@pytest.mark.parametrize("status", ["removing", "restarting", "running"])
def test_a_kill_that_is_no_stop(world: World, status: str) -> None:
    """`docker rm -f` and a signal that a game outlived look the same but for the state of the container."""
    world.container_now = replace(FIRST, status=status)
    world.see("kill", "die", "destroy")
    assert not world.by_hand


def test_a_container_that_is_gone_was_removed_not_stopped(world: World) -> None:
    """It is made again."""
    world.container_now = None
    world.see("kill", "die", "destroy")
    assert not world.by_hand
    assert world.woken == [ID, ID]


def test_a_signal_is_forgotten_when_the_game_starts_again(world: World) -> None:
    """A later death is not its doing."""
    world.see("kill", "start", "die")
    assert not world.by_hand


def test_the_network_concerns_all(world: World) -> None:
    """Each container may have another address now."""
    world.see("disconnect", kind="network")
    assert world.woken == ["*"]


def test_it_goes_on_after_the_last_event(world: World) -> None:
    """None is missed, none is seen twice."""
    world.see("start", "die")
    world.see()
    assert world.asked_from == [100 * 10**9, 202]


def test_a_clock_that_is_set_back_hides_nothing(world: World) -> None:
    """What happens from now on is earlier than what was last heard, and is asked for all the same."""
    world.see("start")
    world.now -= 3600
    world.see("kill", "die")
    assert world.asked_from[-1] == int(world.now * 10**9)
    assert world.by_hand == [ID]
