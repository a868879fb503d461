"""One client process: found by its identity and by nothing less."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import proc
from rathole import process as client
from tests.waiting import wait_until

SLEEP = "/bin/sleep"


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that does nothing."""
    with proc.spawn([SLEEP, "1000"], env={}, output=tmp_path / "out") as child:
        yield child
        child.kill()


def test_an_adopted_process_is_watched_without_being_our_child(child: subprocess.Popen[bytes]) -> None:
    """Its end is seen, its exit code is not."""
    identity = proc.identify(child.pid)
    assert identity is not None
    process = client.adopt(identity)
    assert process is not None
    assert not process.has_ended()

    assert process.end()

    assert process.exit_code is None
    assert proc.wait_ended(process.pidfd, 5)
    process.close()


def test_a_process_that_ended_is_not_adopted(child: subprocess.Popen[bytes]) -> None:
    """Not even while its zombie has the pid."""
    identity = proc.identify(child.pid)
    assert identity is not None
    os.kill(child.pid, signal.SIGKILL)
    wait_until(lambda: not proc.is_running(identity), within=5, saying="it is dead")

    assert client.adopt(identity) is None
    child.wait()
    assert client.adopt(identity) is None


def test_a_client_that_ends_at_once_has_an_exit_code(tmp_path: Path) -> None:
    """It may be gone before anybody could look at it."""
    for _ in range(5):
        process = client.start("/bin/false", tmp_path)
        wait_until(process.has_ended, within=5, saying="it has ended")
        assert process.exit_code == 1
        assert process.end()
        process.close()
        process.close()


def test_a_missing_binary_is_an_os_error(tmp_path: Path) -> None:
    """The caller makes a sentence of it."""
    with pytest.raises(OSError, match="absent"):
        client.start(str(tmp_path / "absent"), tmp_path)


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        (("rathole", "--client", "/data/rathole/srv_1/client.toml"), ["srv_1"]),
        (("/old/place/rathole", "--client", "/data/rathole/srv_1/client.toml"), ["srv_1"]),
        (("rathole", "--client", "/other/srv_1/client.toml"), []),
        (("rathole", "--client", "/data/rathole/srv_1/x/client.toml"), []),
        (("rathole", "--client", "/data/rathole/client.toml"), []),
        (("rathole", "--server", "/data/rathole/srv_1/client.toml"), []),
        (("rathole", "--client", "/data/rathole/srv_1/other.toml"), []),
        (("vi", "--client", "/data/rathole/srv_1/client.toml"), []),
        (("less", "/data/rathole/srv_1/client.toml"), []),
        (("",), []),
    ],
)
def test_only_clients_of_ours_are_found(
    monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...], found: list[str]
) -> None:
    """Another program with our path in its arguments, and a rathole of somebody else, are none of ours."""
    identity = proc.ProcessIdentity("boot", 4711, 1, "/anything", argv)
    monkeypatch.setattr(proc, "all_processes", lambda: [identity])

    clients = client.find_clients("/usr/local/bin/rathole", Path("/data/rathole"))

    assert [server_id for server_id, _ in clients] == found
