"""The orchestrator fails in every way it can, and the agent, a real process, does not mind."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.engine import running_engine
from tests.fakes.orchestrator import FakeOrchestrator
from tests.integration.agent_rig import Agent
from tests.waiting import wait_until

INTERVAL = 60.0 if os.environ.get("SATIS_LONG") else 0.05  # seconds between heartbeats
_AN_HOUR = 60  # heartbeats
_ANSWERS_WITHIN = 1.0

pytestmark = [pytest.mark.long, pytest.mark.timeout(60 + 2 * _AN_HOUR * INTERVAL)]


@pytest.fixture
def agent(orchestrator: FakeOrchestrator, tmp_path: Path) -> Iterator[Agent]:
    """Return an agent that is not started yet and belongs to it."""
    with running_engine(tmp_path / "docker.sock") as engine:
        environ = {
            "ORCHESTRATOR_HOST": "127.0.0.1",
            "ORCHESTRATOR_PORT": str(orchestrator.port),
            "ADVERTISE_ADDRESS": "192.0.2.7",
            "HEARTBEAT_INTERVAL": str(INTERVAL),
            "HEARTBEAT_TIMEOUT": "2",
        }
        agent = Agent(tmp_path / "one", engine.url, environ)
        yield agent
        agent.clear()


def wait_for_heartbeats(orchestrator: FakeOrchestrator, within: float = 10) -> None:
    """Wait until two more came."""
    before = len(orchestrator.heartbeats)
    wait_until(
        lambda: len(orchestrator.heartbeats) >= before + 2, within=within + 3 * INTERVAL, saying="heartbeats come"
    )


def assert_api_answers(agent: Agent) -> None:
    """At once, whatever the orchestrator does."""
    for path in ("/api/health", "/api/containers", "/readyz", "/healthz"):
        began = time.monotonic()
        assert agent.get(path).status_code == 200, path
        assert time.monotonic() - began < _ANSWERS_WITHIN, path


def test_down_at_start(agent: Agent, orchestrator: FakeOrchestrator) -> None:
    """The API does not wait for it (the earlier agent listened after 76 s), and the node is known soon afterwards."""
    orchestrator.stop()
    agent.start()
    wait_until(agent.is_ready, within=10, saying="the agent is ready")
    assert_api_answers(agent)
    orchestrator.start()
    wait_for_heartbeats(orchestrator)


def test_silent_at_start(agent: Agent, orchestrator: FakeOrchestrator) -> None:
    """It takes connections and says nothing; nobody else waits for that."""
    orchestrator.stop()
    with socket.create_server(("127.0.0.1", orchestrator.port)):
        agent.start()
        wait_until(agent.is_ready, within=10, saying="the agent is ready")
        assert_api_answers(agent)
    orchestrator.start()
    wait_for_heartbeats(orchestrator)


def test_down_for_an_hour_and_its_database_lost(agent: Agent, orchestrator: FakeOrchestrator) -> None:
    """Sixty heartbeats long: said once, and when it is back, empty, the node is there again."""
    agent.start()
    wait_for_heartbeats(orchestrator)
    orchestrator.stop()
    orchestrator.nodes.clear()
    down_until = time.monotonic() + _AN_HOUR * INTERVAL
    while time.monotonic() < down_until:
        assert_api_answers(agent)
        time.sleep(min(INTERVAL, 1))
    assert agent.log.count("what=heartbeat") == 1
    orchestrator.start()
    wait_for_heartbeats(orchestrator)
    assert "node-1" in orchestrator.nodes


def test_slow(agent: Agent, orchestrator: FakeOrchestrator) -> None:
    """It answers later than a heartbeat may take; the API is as quick as ever, and the node comes back."""
    agent.start()
    wait_for_heartbeats(orchestrator)
    orchestrator.fault = "slow"
    asked = len(orchestrator.requests)
    wait_until(lambda: len(orchestrator.requests) > asked, within=10 + 2 * INTERVAL, saying="it is asked")
    assert_api_answers(agent)
    orchestrator.fault = None
    orchestrator.released.set()
    wait_for_heartbeats(orchestrator, within=20)
