"""Processes: run one with a deadline, start one that outlives us, know one again.

A pid alone is never trusted, since the kernel gives it to another process after a while; the
identity of a process is its boot, its pid and its start time in clock ticks
(`/proc/<pid>/stat`, field 22), which does not move with the wall clock.
"""

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.errors import DeadlinePassed

_PROC = Path("/proc")
_START_TICKS = 19  # field 22 of /proc/<pid>/stat, counted from behind the process name
_STATE = 0
_PRIVATE = 0o600


@dataclass(frozen=True)
class ProcessIdentity:
    """What tells one process from every other, over restarts of the agent."""

    boot_id: str
    pid: int
    start_ticks: int
    executable: str
    argv: tuple[str, ...]


@dataclass(frozen=True)
class Completed:
    """A process that ended: its exit code and what it wrote."""

    returncode: int
    stdout: str
    stderr: str


def boot_id() -> str:
    """Return the kernel's name of this boot."""
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> ProcessIdentity | None:
    """Return the identity of a process that runs; None where there is none, or only its zombie."""
    folder = _PROC / str(pid)
    try:
        stat = _stat_fields(pid)
        executable = str((folder / "exe").readlink())
        argv = (folder / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    if stat[_STATE] in "ZX":
        return None
    words = tuple(word.decode(errors="replace") for word in argv)
    return ProcessIdentity(boot_id(), pid, int(stat[_START_TICKS]), executable, words)


def _stat_fields(pid: int) -> list[str]:
    """Return the fields behind the name, which may itself hold spaces and brackets."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def is_running(identity: ProcessIdentity) -> bool:
    """Tell whether this very process still runs; a zombie does not."""
    try:
        stat = _stat_fields(identity.pid)
    except (FileNotFoundError, ProcessLookupError):
        return False
    same = int(stat[_START_TICKS]) == identity.start_ticks and boot_id() == identity.boot_id
    return same and stat[_STATE] not in "ZX"


def all_processes() -> Iterator[ProcessIdentity]:
    """Yield every process that we may look at."""
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (identity := identify(int(entry.name))):
            yield identity


def spawn(
    argv: Sequence[str], *, env: Mapping[str, str], output: Path, cwd: Path | None = None, with_errors: bool = True
) -> subprocess.Popen[bytes]:
    """Start a process that outlives the agent: a session of its own, its output appended to a file.

    Never a pipe: one that nobody drains freezes the writer, one whose reader died kills it (tried with
    rathole 0.5.0).

    Args:
        argv: the program and its arguments; never a secret among them.
        env: its whole environment.
        output: the file, made where it is missing, readable by its owner only.
        cwd: the folder to run it in.
        with_errors: append its error output as well, else drop it.

    Raises:
        OSError: the program is missing or the file cannot be written.
    """
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, _PRIVATE)
    try:
        return _start(argv, env, cwd, descriptor, descriptor if with_errors else subprocess.DEVNULL)
    finally:
        os.close(descriptor)


def _start(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path | None, stdout: int | IO[bytes], stderr: int | IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own: no signal to us reaches it, and one to its group all its children."""
    return subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
    )


def run(
    argv: Sequence[str],
    *,
    deadline: float,
    env: Mapping[str, str],
    cwd: Path | None = None,
    started: Callable[[ProcessIdentity], None] | None = None,
) -> Completed:
    """Run a program to its end in a session of its own.

    Args:
        argv: the program and its arguments; never a secret among them.
        deadline: seconds after which it is killed with all its children.
        env: its whole environment.
        cwd: the folder to run it in.
        started: told the identity once it runs, so that a successor of ours can find it.

    Raises:
        DeadlinePassed: it was killed. An error of `started` kills it as well.
        OSError: the program is missing.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = _start(argv, env, cwd, out, err)
        try:
            if started and (identity := identify(process.pid)):
                started(identity)
            code = process.wait(timeout=deadline)
        except subprocess.TimeoutExpired:
            raise DeadlinePassed(
                "deadline_passed", f"`{' '.join(argv[:2])}` did not end within {deadline:g} s and was killed."
            ) from None
        finally:
            _kill_unless_ended(process)
        return Completed(code, _text_of(out), _text_of(err))


def _kill_unless_ended(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        kill_group(process.pid)
        process.wait()


def _text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def kill_group(leader: int) -> None:
    """Kill a session's leader and all its children; one that is gone is fine."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def age(identity: ProcessIdentity) -> float:
    """Return the seconds since a process of this boot was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - identity.start_ticks / os.sysconf("SC_CLK_TCK")


def wait(identity: ProcessIdentity, timeout: float) -> bool:
    """Wait up to `timeout` seconds for the end of a process; tell whether it has ended."""
    try:
        pidfd = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return True
    try:
        return not is_running(identity) or wait_ended(pidfd, timeout)
    finally:
        os.close(pidfd)


def end(identity: ProcessIdentity, *, grace: float) -> None:
    """Ask a process to end, wait up to `grace` seconds, then kill it; one that is gone is fine.

    The identity is checked again after the process is pinned by a pidfd, so the signal can reach
    no other process. The caller reaps it where it is its child.
    """
    try:
        pidfd = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    try:
        if is_running(identity):
            _signal_and_wait(pidfd, grace)
    finally:
        os.close(pidfd)


def _signal_and_wait(pidfd: int, grace: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        if not wait_ended(pidfd, grace):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            wait_ended(pidfd, grace)


def wait_ended(pidfd: int, timeout: float) -> bool:
    """Wait up to `timeout` seconds for the end of the process behind `pidfd`; tell whether it ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(timeout * 1000))
