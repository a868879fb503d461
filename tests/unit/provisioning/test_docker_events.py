"""What Docker's events mean: whose stop it was, who is to be looked at, and what comes of it for a server."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from compose.container import Container, Event
from compose.file import STOP_GRACE_SECONDS
from core.errors import DockerUnavailable, StoreFailed
from core.servers import Server
from provisioning.docker_events import DockerEvents
from provisioning.stops import Stops
from tests.fakes.world import Agent, World, spec
from tests.unit.provisioning.paper import SERVER
from tests.unit.provisioning.test_crashes import FIRST, ID

_SECOND = 10**9


class Heard:
    """Docker, the servers and the keepers, as far as the events see them."""

    def __init__(self) -> None:
        self.container_now: Container | None = replace(FIRST, status="exited")
        self.away = False
        self.lines: list[Event] = []
        self.past: list[Event] = []
        self.asked_from: list[int] = []
        self.past_asked_from: list[int] = []
        self.by_hand: list[str] = []
        self.woken: list[str] = []
        self.now = 100.0
        self.stops = Stops(self, self, clock=lambda: self.now, returned=lambda: self.wake_all(urgent=True))  # type: ignore[arg-type]
        self.events_loop = DockerEvents(self.stops, self)  # type: ignore[arg-type]

    def events(self, since_ns: int) -> Iterator[Event]:
        """Yield what the test says."""
        self.asked_from.append(since_ns)
        lines, self.lines = self.lines, []
        return iter(lines)

    def past_events(self, since_ns: int) -> list[Event]:
        """Return what has happened, whether it was told yet or not."""
        self.past_asked_from.append(since_ns)
        self.ping()
        return self.past

    def ping(self) -> None:
        """Answer, or be away."""
        if self.away:
            raise DockerUnavailable("docker_unavailable", "It is gone.")

    def container(self, _name: str) -> Container | None:
        """Return what the container is now; also an engine that goes away says it, by an old connection."""
        return self.container_now

    def get(self, _name: str) -> Server | None:
        """Return a server that shall run."""
        return SERVER

    def update(self, name: str, *, stopped_externally: bool) -> None:
        """Note it."""
        assert stopped_externally
        self.by_hand.append(name)

    def wake_known(self, name: str) -> None:
        """Note it."""
        self.woken.append(name)

    def wake_all(self, *, urgent: bool = False) -> None:
        """Note it."""
        self.woken.append("* urgent" if urgent else "*")

    def see(self, *actions: str, kind: str = "container", signal: str = "15", apart: int = 1) -> None:
        """Let these events come in, so many nanoseconds apart."""
        times = [200 + number * apart for number in range(len(actions))]
        self.lines = [
            Event(kind, ID, action, at, {"signal": signal}) for action, at in zip(actions, times, strict=True)
        ]
        self.events_loop.step()


@pytest.fixture
def heard() -> Heard:
    """Return a listener, and a host with one game."""
    return Heard()


def test_a_stop_by_hand_is_respected(heard: Heard) -> None:
    """A kill that was not ours, the end, and a container that stays ended."""
    heard.see("kill", "die", "stop")
    assert heard.by_hand == [ID]


def test_a_stop_that_is_not_told_yet_is_asked_for(heard: Heard) -> None:
    """Whoever has seen the end knows whose it was; the telling of it comes later, and changes nothing."""
    heard.past = [Event("container", ID, action, 200 + number, {}) for number, action in enumerate(["kill", "die"])]
    heard.stops.catch_up()
    assert heard.by_hand == [ID]
    heard.see("kill", "die")
    assert heard.by_hand == [ID]
    assert heard.woken == [ID]


def test_what_an_engine_ends_as_it_comes_back_was_not_ended_by_hand(heard: Heard) -> None:
    """A killed one ends at its next start what still runs, with the events of a `docker stop`."""
    heard.away = True
    with pytest.raises(DockerUnavailable):
        heard.stops.catch_up()
    heard.away, heard.now = False, 300.0
    heard.stops.catch_up()
    assert heard.past_asked_from[-1] == 300 * 10**9


def test_a_death_is_no_stop(heard: Heard) -> None:
    """There is no kill before it."""
    heard.see("die")
    assert (heard.by_hand, heard.woken) == ([], [ID])


def test_our_own_stop_is_nobody_elses(heard: Heard) -> None:
    """The agent stops games too."""
    with heard.stops.ours(ID) as stop:
        stop.began = 0
        heard.see("kill", "die", "stop")
    assert not heard.by_hand


def test_what_was_not_ours_in_truth_is_somebodys(heard: Heard) -> None:
    """The agent looked for an orphan of its own and found none."""
    with heard.stops.ours(ID) as stop:
        stop.began = 0
    heard.stops.not_ours(ID, stop)
    heard.see("kill", "die", "stop")
    assert heard.by_hand == [ID]


def test_an_engine_that_goes_away_stops_by_nobodys_hand(heard: Heard) -> None:
    """It says the same of each container as a `docker stop`, and takes no new connection: the games are wanted on."""
    heard.away = True
    with pytest.raises(DockerUnavailable):
        heard.see("kill", "die")
    heard.away = False
    heard.see("die")
    assert not heard.by_hand


@pytest.mark.parametrize("status", ["removing", "restarting", "running"])
def test_a_kill_that_is_no_stop(heard: Heard, status: str) -> None:
    """`docker rm -f` and a signal that a game outlived look the same but for the state of the container."""
    heard.container_now = replace(FIRST, status=status)
    heard.see("kill", "die", "destroy")
    assert not heard.by_hand


@pytest.mark.parametrize("signal", ["1", "10", "12"])
def test_a_signal_that_asks_for_no_end_marks_no_death(heard: Heard, signal: str) -> None:
    """`docker kill -s HUP`, and later the game dies by itself."""
    heard.see("kill", "die", signal=signal)
    assert not heard.by_hand


def test_a_signal_that_ended_nothing_is_forgotten(heard: Heard) -> None:
    """Docker's own longest stop is over by then."""
    heard.see("kill", "die", apart=(STOP_GRACE_SECONDS + 31) * _SECOND)
    assert not heard.by_hand


def test_a_slow_stop_is_one(heard: Heard) -> None:
    """The game saves before it ends."""
    heard.see("kill", "die", signal="2", apart=STOP_GRACE_SECONDS * _SECOND)
    assert heard.by_hand == [ID]


def test_a_container_that_is_gone_was_removed_not_stopped(heard: Heard) -> None:
    """It is made again."""
    heard.container_now = None
    heard.see("kill", "die", "destroy")
    assert not heard.by_hand
    assert heard.woken == [ID, ID]


def test_a_signal_is_forgotten_when_the_game_starts_again(heard: Heard) -> None:
    """A later death is not its doing."""
    heard.see("kill", "start", "die")
    assert not heard.by_hand


def test_the_network_concerns_all(heard: Heard) -> None:
    """Each container may have another address now."""
    heard.see("disconnect", kind="network")
    assert heard.woken == ["*"]


def test_an_engine_that_is_back_has_all_looked_at(heard: Heard) -> None:
    """At once, whatever the delay after what failed without it; not before it answers, and once."""
    heard.away = True
    with pytest.raises(DockerUnavailable):
        heard.see("kill", "die")
    with pytest.raises(DockerUnavailable):
        heard.see()
    assert "* urgent" not in heard.woken
    heard.away = False
    heard.see()
    heard.see()
    assert heard.woken.count("* urgent") == 1


def test_it_goes_on_after_the_last_event(heard: Heard) -> None:
    """None is missed, none is seen twice."""
    heard.see("start", "die")
    heard.see()
    assert heard.asked_from == [100 * 10**9, 202]


def test_a_clock_that_is_set_back_hides_nothing(heard: Heard) -> None:
    """What happens from now on is earlier than what was last heard, and is asked for all the same."""
    heard.see("start")
    heard.now -= 3600
    heard.see("kill", "die")
    assert heard.asked_from[-1] == int((heard.now - 30) * _SECOND)
    assert heard.by_hand == [ID]


def test_a_clock_that_is_set_back_hides_nothing_that_came_before_anybody_knew(heard: Heard) -> None:
    """A keeper that finds the game ended asks for the seconds before, too: the stop was not told by then."""
    heard.see("start")
    heard.now -= 3600
    stopped = int((heard.now - 5) * _SECOND)
    heard.past = [Event("container", ID, action, stopped, {"signal": "15"}) for action in ("kill", "die")]
    heard.stops.catch_up()
    assert heard.past_asked_from[-1] < stopped
    assert heard.by_hand == [ID]


def test_who_catches_up_waits_for_what_is_being_taken_in(heard: Heard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker is asked whether it was a stop by hand: a keeper that did not wait would start the game meanwhile."""
    asked, go_on = threading.Event(), threading.Event()

    def container(_name: str) -> Container | None:
        asked.set()
        assert go_on.wait(5)
        return heard.container_now

    monkeypatch.setattr(heard, "container", container)
    happened = [
        Event("container", ID, action, at * _SECOND, {"signal": "15"}) for action, at in [("kill", 200), ("die", 201)]
    ]
    monkeypatch.setattr(heard, "past_events", lambda since: [event for event in happened if event.time_ns >= since])
    heard.now, heard.lines = 300.0, list(happened)
    with ThreadPoolExecutor() as aside:
        followed = aside.submit(lambda: list(heard.stops.follow()))
        assert asked.wait(5)
        caught_up = aside.submit(heard.stops.catch_up)
        with pytest.raises(TimeoutError):
            caught_up.result(0.3)
        go_on.set()
        caught_up.result(5)
        followed.result(5)
    assert heard.by_hand == [ID]


def test_a_stop_that_a_full_disk_did_not_take_is_written_down_later(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events are taken in again: the stop is respected once there is room."""
    heard.past = [Event("container", ID, action, 200, {"signal": "15"}) for action in ("kill", "die")]
    with monkeypatch.context() as patched:
        patched.setattr(heard, "update", _refuse)
        with pytest.raises(StoreFailed):
            heard.stops.catch_up()
    heard.stops.catch_up()
    assert heard.by_hand == [ID]


def _refuse(*_: object, **__: object) -> None:
    raise StoreFailed("store_failed", "database or disk is full")


# And what comes of it for a server.


@pytest.fixture
def resting(world: World, agent: Agent) -> Agent:
    """Return an agent whose one game has ended and whose keeper rests, so that events alone change anything."""
    agent.servers.spawn(spec())
    agent.reconciler.stop()
    world.tunnels.stop(ID)
    world.engine.end(ID)
    agent.events.step()
    return agent


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
    world: World, resting: Agent, told: list[str], *, by_hand: bool
) -> None:
    """Docker sends `kill` before `die` where somebody stops a container, and only `die` where the game ended."""
    for action in told:
        world.engine.tell(ID, action)
    resting.events.step()
    assert resting.row().stopped_externally is by_hand


def test_an_event_is_heard_once(world: World, resting: Agent) -> None:
    """The next listening begins behind the last event."""
    world.engine.tell(ID, "kill")
    world.engine.tell(ID, "die")
    resting.events.step()
    resting.hands.servers.update(ID, stopped_externally=False)
    resting.events.step()
    assert not resting.row().stopped_externally


def test_a_stop_of_what_shall_not_run_changes_nothing(world: World, resting: Agent) -> None:
    """Nor does one of a container that is not ours."""
    resting.hands.servers.update(ID, container_wanted=False)
    for name in (ID, "postgres"):
        world.engine.tell(name, "kill")
        world.engine.tell(name, "die")
    assert resting.events.step() == 0.0
    assert not resting.row().stopped_externally


def test_without_docker_the_loop_tries_again(world: World, resting: Agent) -> None:
    """The error is the loop's to say."""
    world.engine.up = False
    with pytest.raises(DockerUnavailable):
        resting.events.step()
