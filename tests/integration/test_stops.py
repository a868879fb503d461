"""Whose stop it was, on the real engine: known the moment that the container is seen to have ended."""

import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.engine import Engine
from core.servers import ServerTable
from core.store import Store
from provisioning.stops import Stops
from tests.fakes.world import spec
from tests.waiting import wait_until

IMAGE = "satis-base:trixie"
# As a game that ends at once when it is asked to; the other outlives every signal but the last.
ENDS, STAYS = "trap 'exit 130' INT TERM; sleep 600 & wait", "trap '' INT TERM HUP; sleep 600"


def docker(*words: str) -> str:
    """Do something by hand; return what was printed."""
    argv = ["docker", *words]
    return subprocess.run(argv, capture_output=True, check=True, text=True, timeout=60).stdout.strip()


class Host:
    """One server's container, the store, and an agent that hears no event by itself."""

    def __init__(self, folder: Path) -> None:
        self.name = f"srv_will_{uuid.uuid4().hex[:8]}"
        self.engine = Engine()
        self.servers = ServerTable(Store(folder / "agent.db"))
        self.servers.add(spec(self.name))
        self.stops = Stops(self.engine, self.servers, clock=time.time, returned=lambda: None)

    def run(self, script: str) -> None:
        """Start the game."""
        docker("run", "--detach", "--restart", "unless-stopped", "--name", self.name, IMAGE, "sh", "-c", script)

    def ended(self) -> None:
        """Wait until it is seen to have ended, and learn at once whose wish that was."""

        def seen() -> bool:
            found = self.engine.container(self.name)
            return found is not None and found.status == "exited"

        wait_until(seen, within=20, saying="it has ended", every=0.002)
        self.stops.catch_up()

    def is_by_hand(self) -> bool:
        """Whether it is written down as stopped by hand."""
        server = self.servers.get(self.name)
        return server is not None and server.stopped_externally


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """Return a host; its container is removed afterwards."""
    host = Host(tmp_path)
    yield host
    host.engine.remove(host.name)


@pytest.mark.parametrize("words", [("stop",), ("stop", "--time", "0"), ("kill",), ("kill", "--signal", "INT")])
def test_a_stop_by_hand_is_known_with_the_end(host: Host, words: tuple[str, ...]) -> None:
    """Never between the end and the telling of it: looked at each 2 ms while it happens, five times."""
    host.run(ENDS)
    for _ in range(5):
        by_hand = threading.Thread(target=docker, args=(*words, host.name))
        by_hand.start()
        host.ended()
        assert host.is_by_hand()
        by_hand.join()
        docker("start", host.name)
        host.servers.update(host.name, stopped_externally=False)


def test_a_signal_that_it_outlived_is_no_stop(host: Host) -> None:
    """Docker does not run it again after that, when it dies of something else: the agent must."""
    host.run(STAYS)
    docker("kill", "--signal", "HUP", host.name)
    os.kill(int(docker("inspect", "--format", "{{.State.Pid}}", host.name)), signal.SIGKILL)
    host.ended()
    assert not host.is_by_hand()


def test_our_own_stop_is_not_by_hand(host: Host) -> None:
    """Docker tells of it in the same words."""
    host.run(ENDS)
    with host.stops.ours(host.name):
        host.engine.stop(host.name, 5)
    host.ended()
    assert not host.is_by_hand()
