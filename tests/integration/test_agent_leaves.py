"""The agent ends, or begins anew, while something is under way; and one that comes too early touches nothing."""

import signal
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from core.ownership import DataLock
from core.schema import MIGRATIONS
from tests.fakes.engine import running_engine
from tests.integration.agent_rig import KEY, Agent
from tests.waiting import is_gone, wait_until

SPEC = {"serverId": "srv_a", "serverName": "a", "gamePort": 32500, "beaconPort": 32501, "maxPlayers": 4}
_EXIT_SECONDS = 5  # gunicorn.conf.py


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """Return an agent that is not started yet, with an engine whose pulls never come to an end."""
    with running_engine(tmp_path / "docker.sock") as engine:
        agent = Agent(tmp_path / "one", engine.url)
        yield agent
        agent.clear()


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """Return what waits for answers beside the test."""
    with ThreadPoolExecutor() as pool:
        yield pool


def spawn_aside(agent: Agent, aside: ThreadPoolExecutor) -> "Future[requests.Response]":
    """Ask for a server, and return what becomes the answer, once the operation is under way."""
    url, headers = f"http://127.0.0.1:{agent.port}/api/containers/spawn", {"X-API-Key": KEY}
    answer = aside.submit(requests.post, url, json=SPEC, headers=headers, timeout=60)
    wait_until(lambda: operation(agent)["step"] == "pull_image", within=10, saying="the image is being pulled")
    return answer


def operation(agent: Agent) -> dict[str, Any]:
    """Return the operation of the server."""
    found: dict[str, Any] = agent.get("/api/containers/srv_a/status").json()["agent"]["operation"]
    return found


def test_what_takes_too_long_is_parked_at_the_end(agent: Agent, aside: ThreadPoolExecutor) -> None:
    """SIGTERM: who waits is told in time that it goes on later, and the next agent goes on with that very operation."""
    agent.environ = {"GUNICORN_CMD_ARGS": f"--graceful-timeout={_EXIT_SECONDS + 1}"}
    agent.start()
    answer = spawn_aside(agent, aside)
    parked = operation(agent)
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < _EXIT_SECONDS + 4
    assert (answer.result().status_code, answer.result().json()["code"]) == (503, "shutting_down")
    agent.start()
    wait_until(lambda: operation(agent)["step"] == "pull_image", within=10, saying="it goes on")
    assert operation(agent)["id"] == parked["id"]


def test_a_reload_serves_others_at_once(agent: Agent, aside: ThreadPoolExecutor) -> None:
    """SIGHUP: nobody waits for the end of what is under way; who waited asks again, and joins it."""
    agent.start()
    answer = spawn_aside(agent, aside)
    begun, old = operation(agent), agent.worker()
    assert agent.process is not None
    agent.process.send_signal(signal.SIGHUP)
    wait_until(lambda: is_gone(old) and agent.is_ready(), within=2, saying="another worker serves")
    with pytest.raises(requests.ConnectionError):
        answer.result()
    answer = spawn_aside(agent, aside)
    assert operation(agent)["id"] == begun["id"]
    agent.clear()
    assert answer.exception() is not None


def test_an_agent_that_waits_changes_nothing(agent: Agent) -> None:
    """Not even the store's version, where it is a newer agent than the one that owns the data directory."""
    folder = agent.data / "agent"
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "agent.db") as old:
        old.executescript(f"{MIGRATIONS[0]}; PRAGMA user_version = 1")
    old.close()
    lock = DataLock(folder / "lock")
    assert lock.acquire(lambda: False)
    before = _files(agent.data)
    agent.start(wait=False)
    wait_until(lambda: "Another process owns the data directory" in agent.log, within=20, saying="it waits")
    assert agent.stop() == 0
    assert _files(agent.data) == before


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_store_of_a_newer_agent_ends_the_start(agent: Agent) -> None:
    """Exit code 2 and a sentence: trying again would not help."""
    (agent.data / "agent").mkdir(parents=True)
    with sqlite3.connect(agent.data / "agent" / "agent.db") as newer:
        newer.execute("PRAGMA user_version = 999")
    newer.close()
    agent.start(wait=False)
    assert agent.exit_code() == 2
    assert "newer agent (version 999)" in agent.log
