"""The container's run loop, with fakes of gunicorn."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.deploy.shell import SCRIPTS, fake, with_path
from tests.waiting import wait_until

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start_loop(tmp_path: Path) -> Iterator[Start]:
    """Start the loop with a gunicorn that writes its pid into `pids` and then runs the given lines."""
    started: list[subprocess.Popen[str]] = []

    def start(body: str) -> subprocess.Popen[str]:
        fake(tmp_path / "bin", "gunicorn", f'echo $$ >>{tmp_path}/pids; echo "$@" >{tmp_path}/argv\n{body}')
        loop = subprocess.Popen(
            [SCRIPTS / "image" / "run-agent.sh"],
            env=with_path(tmp_path / "bin"),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(loop)
        return loop

    yield start
    for loop in started:
        if loop.poll() is None:
            os.killpg(loop.pid, signal.SIGKILL)
        loop.communicate()


def pids(folder: Path) -> list[int]:
    """The pids of all gunicorns so far."""
    return [int(line) for line in (folder / "pids").read_text().split()]


def nth_pid(folder: Path, count: int) -> int:
    """Wait for that many starts; the pid of the last one."""
    wait_until(lambda: len(pids(folder)) >= count, within=5, saying=f"gunicorn was not started {count} times")
    return pids(folder)[count - 1]


FOREVER = "exec sleep 60"


def test_starts_gunicorn_with_the_applications_factory(start_loop: Start, tmp_path: Path) -> None:
    """What is run is gunicorn with our configuration and create_app()."""
    start_loop(FOREVER)
    nth_pid(tmp_path, 1)
    wait_until((tmp_path / "argv").read_text, within=5, saying="gunicorn was not started")
    assert (tmp_path / "argv").read_text().split() == ["-c", "gunicorn.conf.py", "agent:create_app()"]


def test_a_killed_gunicorn_is_started_again(start_loop: Start, tmp_path: Path) -> None:
    """A master killed with -9 is replaced, and the loop stays the same process."""
    loop = start_loop(FOREVER)
    os.kill(nth_pid(tmp_path, 1), signal.SIGKILL)
    assert nth_pid(tmp_path, 2) != pids(tmp_path)[0]
    assert loop.poll() is None


def test_exit_code_2_is_passed_on(start_loop: Start, tmp_path: Path) -> None:
    """Settings that cannot be used end the container at once: trying again would say the same."""
    assert start_loop("exit 2").wait(5) == 2
    assert len(pids(tmp_path)) == 1


@pytest.mark.parametrize("code", [0, 1, 3, 4])
def test_any_other_end_is_followed_by_a_start(start_loop: Start, tmp_path: Path, code: int) -> None:
    """Gunicorn never ends of itself in good order, so even exit code 0 is a reason to start it again."""
    start_loop(f"exit {code}")
    nth_pid(tmp_path, 3)


def test_the_delay_between_starts_doubles(start_loop: Start, tmp_path: Path) -> None:
    """One that is killed comes back at once; one that cannot live does not use up the host. Each delay is said."""
    loop = start_loop("exit 1")
    nth_pid(tmp_path, 5)
    loop.terminate()
    _, said = loop.communicate(timeout=5)
    delays = [int(line.split()[-2]) for line in said.splitlines() if "started again" in line]
    assert sorted(delays)[:4] == [0, 100, 200, 400]  # each is said aside, so the first two may change places


def test_sigterm_is_handed_on_and_waited_for(start_loop: Start, tmp_path: Path) -> None:
    """An orderly stop takes as long as gunicorn needs, and its exit code is the container's."""
    loop = start_loop(
        f"""trap 'sleep 0.5; echo done >{tmp_path}/ended; exit 0' TERM
        echo ready >{tmp_path}/ready
        while :; do sleep 0.05; done"""
    )
    wait_until((tmp_path / "ready").exists, within=5, saying="gunicorn was not started")
    loop.terminate()
    assert loop.wait(5) == 0
    assert (tmp_path / "ended").read_text() == "done\n"
    assert len(pids(tmp_path)) == 1


def test_a_second_sigterm_does_not_end_the_waiting(start_loop: Start, tmp_path: Path) -> None:
    """`wait` returns early on each signal, and is repeated while the child lives."""
    loop = start_loop(
        f"""trap 'echo term >>{tmp_path}/terms' TERM
        echo ready >{tmp_path}/ready
        until [ -e {tmp_path}/leave ]; do sleep 0.05; done; exit 7"""
    )
    wait_until((tmp_path / "ready").exists, within=5, saying="gunicorn was not started")
    for count in (1, 2):
        loop.terminate()
        wait_until(
            lambda count=count: (tmp_path / "terms").read_text().count("term") == count,  # type: ignore[misc]
            within=5,
            saying="SIGTERM was not handed on",
        )
    assert loop.poll() is None
    (tmp_path / "leave").touch()
    assert loop.wait(5) == 7


def test_sigterm_during_the_backoff_ends_the_loop(start_loop: Start, tmp_path: Path) -> None:
    """A stop does not wait for the next try, and gunicorn is not started for it."""
    loop = start_loop("exit 1")
    assert loop.stderr is not None
    assert any("800 ms" in line for line in loop.stderr)
    loop.terminate()
    assert loop.wait(0.7) == 0
    assert len(pids(tmp_path)) == 5


def test_goes_on_though_nobody_reads_what_it_says(start_loop: Start, tmp_path: Path) -> None:
    """With live-restore it outlives dockerd, its only reader; then the pipe is full after a while."""
    start_loop("dd if=/dev/zero of=/proc/self/fd/3 oflag=nonblock bs=4096 count=64 3>&2 2>/dev/null; exit 1")
    nth_pid(tmp_path, 3)
