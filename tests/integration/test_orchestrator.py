"""The heartbeat in its own thread, with real time and a real address, against an orchestrator that comes and goes."""

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from core.settings import load_settings
from orchestrator.client import send_offline
from orchestrator.heartbeat import make_heartbeat
from orchestrator.node import NodeMeter
from provisioning.loops import Loop
from tests.fakes.orchestrator import FakeOrchestrator, running_orchestrator
from tests.waiting import wait_until

INTERVAL = 0.1


@pytest.fixture
def orchestrator() -> Iterator[FakeOrchestrator]:
    """Return an orchestrator of the older age."""
    with running_orchestrator("/api/nodes") as fake:
        yield fake


@pytest.fixture
def loop(orchestrator: FakeOrchestrator, tmp_path: Path) -> Iterator[Loop]:
    """Return the heartbeat's loop, which the test starts."""
    settings = load_settings(environ(orchestrator))
    meter = NodeMeter(tmp_path)

    def stats() -> Mapping[str, object]:
        node = meter.read()
        return {"cpuUsage": node.cpu_usage, "memoryUsage": node.memory_usage, "diskUsage": node.disk_usage}

    loop = Loop("heartbeat", make_heartbeat(settings, stats, looked=lambda: True).step)
    yield loop
    loop.stop(5.0)


def environ(orchestrator: FakeOrchestrator) -> dict[str, str]:
    """Return settings with intervals of a test's length."""
    return {
        "NODE_ID": "node-a",
        "HOST_AGENT_API_KEY": "k" * 16,
        "ORCHESTRATOR_HOST": "127.0.0.1",
        "ORCHESTRATOR_PORT": str(orchestrator.port),
        "HEARTBEAT_INTERVAL": str(INTERVAL),
        "HEARTBEAT_TIMEOUT": "0.5",
        "REGISTER_INTERVAL": "0.5",
        "ADVERTISE_ADDRESS": "192.0.2.9",
    }


def wait_for_heartbeats(orchestrator: FakeOrchestrator) -> None:
    """Wait until three more came."""
    before = len(orchestrator.heartbeats)
    wait_until(lambda: len(orchestrator.heartbeats) >= before + 3, within=10, saying="heartbeats come")


def test_a_node_is_known_and_stays_known(loop: Loop, orchestrator: FakeOrchestrator) -> None:
    """It registers by itself, and its heartbeats hold numbers."""
    loop.start()
    wait_for_heartbeats(orchestrator)
    assert orchestrator.nodes["node-a"]["hostname"] == socket.gethostname()
    for _, body in orchestrator.heartbeats:
        assert all(isinstance(body[name], float) for name in ("cpuUsage", "memoryUsage", "diskUsage"))


def test_an_orchestrator_that_is_down_at_start_is_found(loop: Loop, orchestrator: FakeOrchestrator) -> None:
    """Starting the loop blocks nobody, and the node is known soon after the orchestrator is there."""
    orchestrator.stop()
    loop.start()
    orchestrator.start()
    wait_for_heartbeats(orchestrator)


def test_a_restart_with_an_empty_database_is_outlived(loop: Loop, orchestrator: FakeOrchestrator) -> None:
    """Down, back, and everything forgotten: the node registers anew."""
    loop.start()
    wait_for_heartbeats(orchestrator)
    orchestrator.stop()
    orchestrator.nodes.clear()
    orchestrator.start()
    wait_for_heartbeats(orchestrator)


def test_a_database_lost_in_silence_is_outlived(loop: Loop, orchestrator: FakeOrchestrator) -> None:
    """The orchestrator answers 200 to heartbeats that it forgets; the node is known again all the same."""
    loop.start()
    wait_for_heartbeats(orchestrator)
    orchestrator.nodes.clear()
    wait_for_heartbeats(orchestrator)


def test_a_frozen_orchestrator_holds_the_loop_for_its_timeout(loop: Loop, orchestrator: FakeOrchestrator) -> None:
    """It takes connections and says nothing; the loop is alive, and goes on when it thaws."""
    loop.start()
    wait_for_heartbeats(orchestrator)
    orchestrator.fault = "slow"
    asked = len(orchestrator.requests)
    wait_until(lambda: len(orchestrator.requests) > asked + 1, within=10, saying="it is asked again")
    assert loop.health().alive
    assert loop.failures == 0
    orchestrator.fault = None
    wait_for_heartbeats(orchestrator)


def test_goodbye_needs_only_the_settings(loop: Loop, orchestrator: FakeOrchestrator) -> None:
    """The master can say goodbye, whatever became of the worker that registered."""
    loop.start()
    wait_for_heartbeats(orchestrator)
    loop.stop(5.0)
    send_offline(load_settings(environ(orchestrator)))
    assert orchestrator.offline == ["node-a"]
