"""The supervisor with a stand-in for rathole: real processes, a clock that the test moves."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import StoreFailed
from core.models import TunnelReason, TunnelState
from core.proc import ProcessIdentity, identify
from rathole.supervisor import Supervisor
from tests.waiting import wait_until

ID = "srv_test_0000000a"
# Does what the file `behaviour` beside the configuration says, and says it as rathole does.
BINARY = """#!/bin/sh
say() { echo "2026-11-23T22:24:19.275147Z  INFO handle{service=$1}:run: rathole::client: $2"; }
fail() { echo "2026-11-23T22:24:19.275147Z ERROR handle{service=$1}: rathole::client: \
Failed to run the control channel: $2. Retry in 1s..."; }
. "$(dirname "$2")/behaviour"
"""
RUN = "exec sleep 1000"
COUNT = 'printf x >> "$(dirname "$2")/starts"'
UP = f"say game 'Starting 00'; say game 'Control channel established'; {RUN}"


class Records:
    """Process records in memory, which can be full."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[ProcessIdentity, str]] = {}
        self.full = False

    def record(self, server_id: str, identity: ProcessIdentity, started_at: str) -> None:
        """Keep one."""
        if self.full:
            raise StoreFailed("disk_full", "There is no room.")
        self.kept[server_id] = (identity, started_at)

    def forget(self, server_id: str) -> None:
        """Drop one."""
        if self.full:
            raise StoreFailed("disk_full", "There is no room.")
        self.kept.pop(server_id, None)

    def all(self) -> dict[str, tuple[ProcessIdentity, str]]:
        """Return all."""
        return dict(self.kept)


class Stage:
    """A supervisor, its clock and the behaviour of its clients."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self.records = Records()
        self.changed: list[str] = []
        self.directory = folder / "rathole"
        binary = folder / "rathole.sh"
        binary.write_text(BINARY)
        binary.chmod(0o755)
        self.binary = str(binary)
        self.supervisor = Supervisor(
            self.directory,
            self.binary,
            self.records,
            on_change=self.changed.append,
            clock=lambda: self.now,
            random=lambda: 0.5,
        )

    def behave(self, behaviour: str, server_id: str = ID, token: str = "") -> None:
        """Say what the clients of a server shall do from their next start on."""
        folder = self.directory / server_id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "behaviour").write_text(behaviour)
        (folder / "client.toml").write_text(f'[client.services.game]\ntoken = "{token}"\n')

    def until(self, state: TunnelState, server_id: str = ID) -> None:
        """Tick until a tunnel has a state; the clock stands still."""

        def reached() -> bool:
            self.supervisor.tick()
            return self.supervisor.status(server_id).state is state

        wait_until(reached, within=10, saying=f"{state}, not {self.supervisor.status(server_id)}")

    def pid(self, server_id: str = ID) -> int:
        """Return the pid of a client."""
        return self.supervisor.status(server_id).pid or 0

    def starts(self) -> int:
        """Count how often a client was started."""
        return len((self.directory / ID / "starts").read_text())

    def later(self, seconds: float) -> None:
        """Let time pass and have the supervisor look once."""
        self.now += seconds
        self.supervisor.tick()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Set a stage, and leave no process behind."""
    stage = Stage(tmp_path)
    yield stage
    for server_id in stage.supervisor._all():
        stage.supervisor.stop(server_id)


def test_a_tunnel_that_nobody_asked_for_is_stopped(stage: Stage) -> None:
    """And asking after it makes nothing."""
    assert stage.supervisor.status(ID).state is TunnelState.STOPPED
    assert stage.supervisor._all() == {}


def test_run_starts_records_and_tells(stage: Stage) -> None:
    """The process is on record before run returns."""
    stage.behave(UP)

    stage.supervisor.run(ID)
    stage.until(TunnelState.UP)

    identity, started_at = stage.records.kept[ID]
    assert identity.pid == stage.pid()
    assert stage.supervisor.status(ID).started_at == started_at
    assert set(stage.changed) == {ID}


def test_stop_leaves_nothing_and_may_be_repeated(stage: Stage) -> None:
    """No process, no record; a second stop is no error, nor is one of a server that is not known."""
    stage.behave(UP)
    stage.supervisor.run(ID)
    pid = stage.pid()

    stage.supervisor.stop(ID)
    stage.supervisor.stop(ID)
    stage.supervisor.stop("srv_unknown")

    assert identify(pid) is None
    assert not Path(f"/proc/{pid}").exists(), "the zombie was waited for"
    assert stage.records.kept == {}
    assert stage.supervisor.status(ID).services == {}


def test_an_unasked_end_is_retried_with_growing_delays(stage: Stage) -> None:
    """0.5, 1, 2 … s, as data: nobody sleeps. Exit code 0 is no clean end."""
    stage.behave(f"{COUNT}; exit 0")
    stage.supervisor.run(ID)
    for attempt, delay in enumerate((0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0), start=1):
        stage.until(TunnelState.BACKOFF)
        assert "exit code 0" in stage.supervisor.status(ID).message
        stage.later(delay - 0.01)
        assert stage.starts() == attempt
        stage.later(0.02)
        assert stage.supervisor.status(ID).state is not TunnelState.BACKOFF


def test_the_first_delay_comes_again_after_a_steady_run(stage: Stage) -> None:
    """A client that ran for 30 s has earned it."""
    stage.behave("exit 3")
    stage.supervisor.run(ID)
    for _ in range(4):
        stage.until(TunnelState.BACKOFF)
        stage.later(60)
    stage.until(TunnelState.BACKOFF)
    stage.behave(UP)
    stage.later(60)
    stage.until(TunnelState.UP)
    stage.later(31)

    os.kill(stage.pid(), signal.SIGKILL)
    stage.until(TunnelState.BACKOFF)

    assert "signal 9" in stage.supervisor.status(ID).message
    stage.later(0.51)
    stage.until(TunnelState.UP)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("Authentication failed: game: Incorrect token", TunnelReason.TOKEN_REFUSED),
        ("Authentication failed: game: Service not exist", TunnelReason.SERVICE_UNKNOWN),
    ],
)
def test_a_refused_tunnel_is_retried_each_minute(stage: Stage, said: str, reason: TunnelReason) -> None:
    """Meanwhile no client runs; since when it is down stays the same over the tries."""
    stage.behave(f"say game 'Starting 00'; fail game '{said}'; {RUN}")
    stage.supervisor.run(ID)
    stage.until(TunnelState.FAILED)
    status = stage.supervisor.status(ID)
    assert (status.reason, status.pid) == (reason, None)

    stage.later(59)
    assert stage.supervisor.status(ID).state is TunnelState.FAILED
    stage.later(2)
    stage.until(TunnelState.FAILED)
    assert stage.supervisor.status(ID).down_since == status.down_since
    stage.behave(UP)
    stage.later(61)
    stage.until(TunnelState.UP)
    assert stage.supervisor.status(ID).down_since is None


def test_run_again_does_not_shorten_the_wait_of_a_refused_tunnel(stage: Stage) -> None:
    """The reconciler calls it each pass; only another configuration is a reason to try at once."""
    stage.behave("exit 1")
    stage.supervisor.run(ID)
    stage.until(TunnelState.FAILED)
    assert stage.supervisor.status(ID).reason is TunnelReason.CONFIG_REFUSED

    stage.supervisor.run(ID)
    assert stage.supervisor.status(ID).state is TunnelState.FAILED
    stage.behave(UP, token="new")
    stage.supervisor.run(ID)
    stage.until(TunnelState.UP)


def test_a_silent_client_is_stuck_and_bounced_after_150_seconds(stage: Stage) -> None:
    """Rathole has no deadline for connects and hellos; we have."""
    stage.behave(f"say game 'Starting 00'; {RUN}")
    stage.supervisor.run(ID)
    stage.until(TunnelState.CONNECTING)
    pid = stage.pid()

    stage.later(14)
    assert stage.supervisor.status(ID).reason is None
    stage.later(2)
    assert stage.supervisor.status(ID).reason is TunnelReason.STUCK
    stage.later(133)
    assert stage.pid() == pid
    stage.later(2)
    assert stage.pid() not in (pid, 0)


def test_a_failed_data_channel_is_no_reason_for_anything(stage: Stage) -> None:
    """It comes with every restart of the server."""
    noise = "say game 'Failed to run the data channel: early eof'; "
    stage.behave(UP.replace(RUN, noise * 20 + RUN))
    stage.supervisor.run(ID)
    stage.until(TunnelState.UP)
    pid = stage.pid()

    stage.later(1)

    assert (stage.pid(), stage.supervisor.status(ID).state) == (pid, TunnelState.UP)


def test_a_bounce_is_another_process(stage: Stage) -> None:
    """The old one is gone before the new one comes."""
    stage.behave(UP)
    stage.supervisor.run(ID)
    pid = stage.pid()

    stage.supervisor.bounce(ID)

    assert identify(pid) is None
    assert stage.pid() not in (pid, 0)


def test_a_server_without_a_configuration_says_so(stage: Stage) -> None:
    """Nothing is started, and it is tried again."""
    stage.supervisor.run(ID)

    status = stage.supervisor.status(ID)
    assert status.state is TunnelState.BACKOFF
    assert "client.toml" in status.message
    stage.behave(UP)
    stage.later(1)
    stage.until(TunnelState.UP)


def test_a_full_store_costs_no_tunnel(stage: Stage) -> None:
    """An unrecorded client would be a stray for a successor; that is better than players without a server."""
    stage.records.full = True
    stage.behave(UP)

    stage.supervisor.run(ID)

    stage.until(TunnelState.UP)


def test_a_recorded_process_that_is_another_s_is_left_alone(stage: Stage) -> None:
    """The kernel gives pids anew: this very test process is not a client of ours."""
    own = identify(os.getpid())
    assert own is not None
    stale = ProcessIdentity(own.boot_id, own.pid, own.start_ticks - 1, own.executable, own.argv)
    stage.records.kept[ID] = (stale, "2026-01-01T00:00:00Z")

    stage.supervisor.adopt()

    assert stage.records.kept == {}
    assert stage.supervisor.status(ID).state is TunnelState.STOPPED


def test_adoption_may_be_repeated(stage: Stage) -> None:
    """A full disk, on which no record can be dropped, does not hold it up; nor is a client taken over twice."""
    stage.behave(UP)
    stage.supervisor.run(ID)
    identity, started_at = stage.records.kept[ID]
    stage.records.kept["srv_test_0000000b"] = (replace(identity, start_ticks=identity.start_ticks - 1), started_at)
    stage.records.full = True
    following = Supervisor(stage.directory, stage.binary, stage.records, on_change=stage.changed.append)

    for _ in range(2):
        following.adopt()

    assert following.status(ID).pid == identity.pid
    assert set(stage.records.kept) == {ID, "srv_test_0000000b"}


def test_restarts_leak_no_descriptor(stage: Stage) -> None:
    """A tunnel that is bounced for years holds one pidfd."""
    stage.behave(UP)
    stage.supervisor.run(ID)
    before, bounces = len(list(Path("/proc/self/fd").iterdir())), 20

    for _ in range(bounces):
        stage.supervisor.bounce(ID)
        stage.supervisor.tick()

    # Not exactly as many: what other tests of this process left to the garbage collector goes meanwhile.
    assert len(list(Path("/proc/self/fd").iterdir())) < before + bounces // 2


def test_forget_drops_the_server(stage: Stage) -> None:
    """A deleted server is not listed."""
    stage.behave(UP)
    stage.supervisor.run(ID)
    pid = stage.pid()

    stage.supervisor.forget(ID)

    assert stage.supervisor._all() == {}
    assert identify(pid) is None


def test_wait_returns_when_a_process_ends(stage: Stage) -> None:
    """At once, not at the next look."""
    stage.behave(UP)
    stage.supervisor.run(ID)
    stage.until(TunnelState.UP)
    stage.supervisor.wait(0)
    threading.Timer(0.1, os.kill, (stage.pid(), signal.SIGKILL)).start()

    assert _seconds_of(lambda: stage.supervisor.wait(30)) < 10


def test_wait_returns_when_somebody_asks_for_something(stage: Stage) -> None:
    """A call from another thread wakes it."""
    stage.behave(UP)
    threading.Timer(0.1, stage.supervisor.run, (ID,)).start()

    assert _seconds_of(lambda: stage.supervisor.wait(30)) < 10


def test_wait_returns_in_time_for_the_next_attempt(stage: Stage) -> None:
    """And with nothing to do it takes as long as it was told."""
    assert _seconds_of(lambda: stage.supervisor.wait(0.05)) >= 0.05
    stage.behave("exit 3")
    stage.supervisor.run(ID)
    stage.until(TunnelState.BACKOFF)
    stage.supervisor.wait(0)

    assert _seconds_of(lambda: stage.supervisor.wait(30)) < 10


def test_one_slow_end_holds_up_no_other(stage: Stage) -> None:
    """A client that ignores SIGTERM takes 2 s to end; meanwhile another starts, and status answers."""
    other = "srv_test_0000000b"
    stage.behave("trap '' TERM; say game 'Starting 00'; while :; do sleep 0.1; done")
    stage.behave(UP, other)
    stage.supervisor.run(ID)
    stage.until(TunnelState.CONNECTING)
    stopping = threading.Thread(target=stage.supervisor.stop, args=(ID,))
    stopping.start()
    wait_until(
        lambda: stage.supervisor.status(ID).state is TunnelState.STOPPING, within=5, saying="the first is being ended"
    )

    stage.supervisor.run(other)
    stage.until(TunnelState.UP, other)

    assert stopping.is_alive()
    stopping.join(10)
    assert stage.supervisor.status(ID).state is TunnelState.STOPPED


def test_calls_at_the_same_moment_make_one_client(stage: Stage) -> None:
    """Eight threads run it; one process is started."""
    stage.behave(f"{COUNT}; {UP}")
    threads = [threading.Thread(target=stage.supervisor.run, args=(ID,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    stage.until(TunnelState.UP)

    assert stage.starts() == 1


def test_a_tunnel_that_fails_in_an_unknown_way_holds_up_no_other(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault is logged; the next tunnel is looked after."""
    other = "srv_test_0000000b"
    stage.behave(UP)
    stage.behave(UP, other)
    stage.supervisor.run(ID)
    stage.supervisor.run(other)

    def broken() -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(stage.supervisor._tunnels[ID], "tick", broken)

    stage.until(TunnelState.UP, other)


def _seconds_of(call: Callable[[], None]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start
