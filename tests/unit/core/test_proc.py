"""Processes, real ones: deadlines, identities and ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import DeadlinePassed
from core.proc import ProcessIdentity, age, all_processes, end, identify, is_running, run, spawn, wait
from tests.waiting import wait_until

ENV = {"PATH": "/usr/bin:/bin"}
STUBBORN = "trap '' TERM; echo ready; while :; do read -t 1 line; done"


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """Return a process that sleeps."""
    process = subprocess.Popen(["/bin/sleep", "60"])
    yield process
    process.kill()
    process.wait()


def descriptors() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def identity_of(pid: int) -> ProcessIdentity:
    """Return the identity of a process that must run."""
    identity = identify(pid)
    assert identity is not None
    return identity


def test_a_program_runs_to_its_end(tmp_path: Path) -> None:
    """Exit code, both outputs and the folder are the program's; the environment is what was given and no more."""
    script = "pwd; env; echo wrong >&2; exit 3"
    done = run(["/bin/bash", "-c", script], deadline=10, env={"ONLY": "this"}, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (3, "wrong\n")
    assert done.stdout.startswith(f"{tmp_path}\n")
    assert "ONLY=this" in done.stdout
    assert "HOME=" not in done.stdout


def test_output_is_read_whatever_it_holds() -> None:
    """More than a pipe holds, and bytes that are no text."""
    done = run(["bash", "-c", r"head -c 300000 /dev/zero | tr '\0' x; printf '\xff'"], deadline=20, env=ENV)
    assert done.stdout == "x" * 300000 + "\ufffd"


def test_input_is_empty() -> None:
    """A program that asks gets no answer instead of waiting for one."""
    assert run(["cat"], deadline=5, env=ENV).stdout == ""


def test_a_deadline_kills_the_children_too(tmp_path: Path) -> None:
    """A child and a grandchild that ignore SIGTERM are gone when DeadlinePassed comes."""
    pids = tmp_path / "pids"
    script = f"trap '' TERM; (trap '' TERM; sleep 60 & echo $! >> {pids}; wait) & echo $! >> {pids}; wait"
    started: list[ProcessIdentity] = []
    began = time.monotonic()
    with pytest.raises(DeadlinePassed, match=r"^`bash -c` did not end within 0.5 s and was killed\.$"):
        run(["bash", "-c", script], deadline=0.5, env=ENV, started=started.append)
    assert time.monotonic() - began < 5
    assert not is_running(started[0])
    children = [int(line) for line in pids.read_text().split()]
    assert len(children) == 2
    wait_until(lambda: not any(identify(pid) for pid in children), within=5, saying="child and grandchild are gone")


def test_a_program_that_ends_is_not_held_by_its_children() -> None:
    """What a program leaves behind does not hold its answer back, even with its output open."""
    began = time.monotonic()
    done = run(["bash", "-c", "sleep 30 & echo $!"], deadline=20, env=ENV)
    assert time.monotonic() - began < 10
    os.kill(int(done.stdout), signal.SIGKILL)


def test_who_wants_to_know_is_told_the_identity() -> None:
    """It is the process itself, leader of a session of its own, while it runs."""
    seen: list[bool] = []
    done = run(
        ["bash", "-c", "echo $$; sleep 0.2"],
        deadline=10,
        env=ENV,
        started=lambda identity: seen.append(is_running(identity) and os.getsid(identity.pid) == identity.pid),
    )
    assert seen == [True]
    assert int(done.stdout) != os.getpid()


def test_a_process_that_cannot_be_recorded_does_not_go_on() -> None:
    """Where its identity cannot be written down nobody would find it again, so it is killed."""
    seen: list[ProcessIdentity] = []

    def refuse(identity: ProcessIdentity) -> None:
        seen.append(identity)
        raise ValueError("full")

    with pytest.raises(ValueError, match="full"):
        run(["sleep", "60"], deadline=10, env=ENV, started=refuse)
    assert not is_running(seen[0])


def test_a_missing_program_is_an_error(tmp_path: Path) -> None:
    """Both ways of starting say so."""
    with pytest.raises(FileNotFoundError):
        run([str(tmp_path / "none")], deadline=1, env=ENV)
    with pytest.raises(FileNotFoundError):
        spawn([str(tmp_path / "none")], env=ENV, output=tmp_path / "log")


def test_an_identity_is_that_of_the_process(sleeper: subprocess.Popen[bytes]) -> None:
    """Pid, program and arguments, the same at each look."""
    identity = identity_of(sleeper.pid)
    assert identity.pid == sleeper.pid
    assert identity.argv == ("/bin/sleep", "60")
    assert Path(identity.executable).name in {"sleep", "coreutils"}
    assert identify(sleeper.pid) == identity
    assert identity in set(all_processes())


def test_a_process_is_as_old_as_it_is(sleeper: subprocess.Popen[bytes]) -> None:
    """Counted since the boot, so that a clock set back changes nothing."""
    assert -0.1 < age(identity_of(sleeper.pid)) < 5
    assert age(identity_of(os.getpid())) > age(identity_of(sleeper.pid))


def test_the_end_of_a_process_is_waited_for(sleeper: subprocess.Popen[bytes]) -> None:
    """One that is not ours to reap as well; one that ended, or another with its pid, is not waited for."""
    identity = identity_of(sleeper.pid)
    assert not wait(identity, 0.05)
    another = ProcessIdentity(identity.boot_id, os.getpid(), identity.start_ticks + 1, "/x", ())
    assert wait(another, 60)
    sleeper.kill()
    assert wait(identity, 5)
    sleeper.wait()
    assert wait(identity, 60)


def test_a_name_with_brackets_and_spaces_is_read(tmp_path: Path) -> None:
    """The kernel puts the name unquoted among the fields."""
    program = tmp_path / "a) R 1 (b"
    program.symlink_to(sys.executable)
    process = subprocess.Popen([str(program), "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert is_running(identity_of(process.pid))
    finally:
        process.communicate(b"\n")


def test_no_process_has_no_identity() -> None:
    """A pid above all is nobody's."""
    assert identify(2**22 + 1) is None


def test_another_process_of_the_same_pid_is_another(sleeper: subprocess.Popen[bytes]) -> None:
    """A start time or a boot that differs makes it a stranger, which is neither running nor ended by us."""
    own = identity_of(sleeper.pid)
    for stranger in (replace(own, start_ticks=1), replace(own, boot_id="another")):
        assert not is_running(stranger)
        end(stranger, grace=0.1)
    assert is_running(own)


def test_a_zombie_does_not_run(sleeper: subprocess.Popen[bytes]) -> None:
    """A child that ended and that nobody has waited for is over, whatever /proc still shows."""
    identity = identity_of(sleeper.pid)
    os.kill(sleeper.pid, signal.SIGKILL)
    wait_until(lambda: not is_running(identity), within=5, saying="the zombie counts as ended")
    assert Path(f"/proc/{sleeper.pid}").exists()
    assert identify(sleeper.pid) is None


def test_an_end_is_asked_for_first(tmp_path: Path) -> None:
    """A process that heeds SIGTERM ends in its own way, and at once."""
    script = "trap 'echo tidied; exit 0' TERM; echo ready; while :; do read -t 0.05 line; done"
    process = spawn(["bash", "-c", script], env=ENV, output=tmp_path / "log")
    wait_until(lambda: "ready" in (tmp_path / "log").read_text(), within=5, saying="it listens")
    end(identity_of(process.pid), grace=10)
    assert process.wait(5) == 0
    assert (tmp_path / "log").read_text() == "ready\ntidied\n"


def test_an_end_is_made_where_asking_does_not_help(tmp_path: Path) -> None:
    """A process that ignores SIGTERM is killed after its grace; a second end is fine."""
    process = spawn(["bash", "-c", STUBBORN], env=ENV, output=tmp_path / "log")
    wait_until(lambda: "ready" in (tmp_path / "log").read_text(), within=5, saying="it ignores SIGTERM")
    identity = identity_of(process.pid)
    end(identity, grace=0.3)
    assert process.wait(5) == -signal.SIGKILL
    end(identity, grace=0.3)


def test_a_frozen_process_is_ended(sleeper: subprocess.Popen[bytes]) -> None:
    """A stopped process takes no SIGTERM, but SIGKILL."""
    sleeper.send_signal(signal.SIGSTOP)
    stat = Path(f"/proc/{sleeper.pid}/stat")
    wait_until(lambda: ") T " in stat.read_text(), within=5, saying="it is frozen")
    end(identity_of(sleeper.pid), grace=0.2)
    assert sleeper.wait(5) == -signal.SIGKILL


def test_output_is_appended_to_a_private_file(tmp_path: Path) -> None:
    """What the one before wrote stays, both outputs are there, and the file is the owner's alone."""
    log = tmp_path / "log"
    for word in ("one", "two"):
        spawn(["bash", "-c", f"echo {word}; echo {word} >&2"], env=ENV, output=log).wait(5)
    assert log.read_text() == "one\none\ntwo\ntwo\n"
    assert log.stat().st_mode & 0o777 == 0o600


def test_errors_can_be_dropped(tmp_path: Path) -> None:
    """Who cannot write its log then has somewhere to say so."""
    log = tmp_path / "log"
    spawn(["bash", "-c", "echo one; echo two >&2"], env=ENV, output=log, with_errors=False).wait(5)
    assert log.read_text() == "one\n"


def test_a_spawned_process_outlives_who_started_it(tmp_path: Path) -> None:
    """Killed with -9, its starter leaves it running, in a session of its own."""
    code = f"""
import os, sys
from pathlib import Path
from core.proc import spawn
child = spawn(["sleep", "60"], env={ENV!r}, output=Path({str(tmp_path)!r}) / "log")
print(child.pid, flush=True)
os.kill(os.getpid(), 9)
"""
    starter = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert starter.returncode == -signal.SIGKILL
    identity = identity_of(int(starter.stdout))
    assert os.getsid(identity.pid) == identity.pid
    end(identity, grace=5)
    assert not is_running(identity)


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    """Starting, ending and running leave nothing open."""
    before = descriptors()
    for _ in range(5):
        run(["true"], deadline=5, env=ENV)
        process = spawn(["sleep", "60"], env=ENV, output=tmp_path / "log")
        end(identity_of(process.pid), grace=5)
        process.wait(5)
    assert descriptors() == before
