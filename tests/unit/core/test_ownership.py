"""One owner of the data directory, whatever dies."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.ownership import DataLock
from tests.waiting import wait_until


def hold(path: Path) -> subprocess.Popen[str]:
    """Start a process that owns the lock until it is killed."""
    code = f"""
from pathlib import Path
from core.ownership import DataLock
lock = DataLock(Path({str(path)!r}))
lock.acquire(lambda: False)
print("mine", flush=True)
input()
"""
    argv = [sys.executable, "-c", code]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "mine\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    """Kill with -9."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_the_first_owns_at_once(tmp_path: Path) -> None:
    """Nobody is asked to wait, and the file says who it is, to its owner alone."""
    path = tmp_path / "agent" / "lock"
    assert DataLock(path).acquire(lambda: False)
    assert path.read_text().startswith("pid ")
    assert path.stat().st_mode & 0o777 == 0o600


def test_it_is_owned_on_a_full_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the note who it is has no room."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    assert DataLock(tmp_path / "lock").acquire(lambda: False)


def test_a_second_waits_and_says_for_whom(tmp_path: Path) -> None:
    """It does not get the directory while the first lives, gives up when told to, and has said so once."""
    owner = hold(tmp_path / "lock")
    try:
        answers = iter([True, True, False])
        with capture_logs() as logs:
            assert not DataLock(tmp_path / "lock").acquire(lambda: next(answers))
        (entry,) = logs
        assert entry["owner"].startswith(f"pid {owner.pid} on ")
    finally:
        kill(owner)


def test_a_killed_owner_frees_it(tmp_path: Path) -> None:
    """No death leaves a lock behind."""
    kill(hold(tmp_path / "lock"))
    lock = DataLock(tmp_path / "lock")
    wait_until(lambda: lock.acquire(lambda: False), within=5, saying="the lock is free")
