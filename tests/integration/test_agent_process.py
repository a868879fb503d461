"""The agent as a process: how it starts, refuses to start, waits, answers what is no HTTP, and ends."""

import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from standin.https import ensure_certificate
from tests.fakes.engine import running_engine
from tests.fakes.orchestrator import running_orchestrator
from tests.integration.agent_rig import KEY, Agent
from tests.waiting import is_gone, wait_until

_PAGE = 4096  # bytes, the least that a pipe holds
WAITS = "Another process owns the data directory; this one waits"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """Return an agent that is not started yet, with an engine that answers."""
    with running_engine(tmp_path / "docker.sock") as engine:
        agent = Agent(tmp_path / "one", engine.url)
        yield agent
        agent.clear()


@pytest.fixture
def second(agent: Agent, tmp_path: Path) -> Iterator[Agent]:
    """Return another one that is not started yet, with the same data directory."""
    second = Agent(tmp_path / "two", agent.engine_url, {"SATIS_DATA_DIR": str(agent.data)})
    yield second
    second.clear()


def test_it_serves_and_is_ready(agent: Agent) -> None:
    """Health at once, ready when it owns its data and Docker answers; outside a container it says what that means."""
    agent.start()
    wait_until(agent.is_ready, within=10, saying="the agent is ready")
    assert agent.get("/api/health").json()["nodeId"] == "node-1"
    assert agent.get("/healthz").status_code == 200
    assert agent.get("/api/containers").json()["containers"] == []
    assert "it starts no tunnel" in agent.log


def test_it_serves_though_nobody_reads_what_it_says(agent: Agent) -> None:
    """With live-restore it outlives dockerd, its log's only reader; who reads again is told that something is lost."""
    reader, agent.output = os.pipe()
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, _PAGE)
    agent.engine_url = "unix:///nowhere/docker.sock"  # then each question whether it is ready is worth a line
    agent.start()
    os.close(agent.output)
    assert [agent.get("/readyz").status_code for _ in range(100)] == [503] * 100
    assert len(os.read(reader, _PAGE)) > _PAGE / 2
    agent.get("/readyz")
    assert b"something was lost: " in os.read(reader, _PAGE)
    os.close(reader)
    assert agent.get("/readyz").status_code == 503


def test_it_serves_by_tls_where_it_has_a_certificate(agent: Agent, tmp_path: Path) -> None:
    """With certificate and key set, HTTPS and nothing else."""
    pem = tmp_path / "own.pem"
    ensure_certificate(pem)
    agent.environ = {"HOST_AGENT_TLS_CERT": str(pem), "HOST_AGENT_TLS_KEY": str(pem)}
    agent.start(wait=False)
    url = f"https://localhost:{agent.port}/api/health"

    def answers() -> bool:
        return requests.get(url, verify=False, timeout=5).status_code == 200  # noqa: S501 - made by itself a moment ago

    with pytest.warns(match="Unverified HTTPS request"):
        wait_until(answers, within=30, saying="HTTPS is served")
    with pytest.raises(requests.ConnectionError):
        agent.answers()


def test_every_fault_of_the_settings_is_named_with_exit_code_2(agent: Agent) -> None:
    """An operator reads them all at once, and the run loop knows that a restart is useless."""
    agent.environ = {"HOST_AGENT_API_KEY": "", "HEARTBEAT_INTERVAL": "-1", "MAX_SERVERS": "many", "PORT_POLICY": "x"}
    agent.start(wait=False)
    assert agent.exit_code() == 2
    named = [line.split(":")[0].split()[0] for line in agent.log.splitlines()[1:]]
    assert sorted(named) == ["HEARTBEAT_INTERVAL", "HOST_AGENT_API_KEY", "MAX_SERVERS", "PORT_POLICY"]
    assert not agent.data.exists()


@pytest.mark.parametrize("key", ["change-me-to-a-random-key", "short"])
def test_a_key_that_is_none_ends_the_start(agent: Agent, key: str) -> None:
    """The placeholder and a short key would let anybody in; the key itself is not repeated."""
    agent.environ = {"HOST_AGENT_API_KEY": key}
    agent.start(wait=False)
    assert agent.exit_code() == 2
    assert "HOST_AGENT_API_KEY" in agent.log
    assert key not in agent.log


@pytest.mark.parametrize(("name", "value"), [("WEB_CONCURRENCY", "2"), ("GUNICORN_CMD_ARGS", "--workers=2")])
def test_more_than_one_worker_is_refused(agent: Agent, name: str, value: str) -> None:
    """Gunicorn reads both itself; the agent is one process."""
    agent.environ = {name: value}
    agent.start(wait=False)
    assert agent.exit_code() == 2
    assert name in agent.log


def test_a_certificate_that_is_not_there_ends_the_start(agent: Agent) -> None:
    """In words and with 2: gunicorn's own end would be a traceback, again and again under the run loop."""
    agent.environ = {"HOST_AGENT_TLS_CERT": "/nowhere.pem", "HOST_AGENT_TLS_KEY": "/nowhere.pem"}
    agent.start(wait=False)
    assert agent.exit_code() == 2
    assert "HOST_AGENT_TLS_CERT: " in agent.log
    assert "Traceback" not in agent.log


def test_a_data_directory_that_cannot_be_used_ends_the_start(agent: Agent, tmp_path: Path) -> None:
    """Exit code 2 and a sentence, where a file stands in the way."""
    (tmp_path / "file").touch()
    agent.environ = {"SATIS_DATA_DIR": str(tmp_path / "file" / "data")}
    agent.start(wait=False)
    assert agent.exit_code() == 2
    assert "SATIS_DATA_DIR cannot be used" in agent.log
    assert "Traceback" not in agent.log


def test_an_unknown_word_ends_the_start(agent: Agent) -> None:
    """`python agent.py nonsense` says how it is called."""
    agent.start("nonsense", wait=False)
    assert agent.exit_code() == 2
    assert "Usage:" in agent.log


def test_a_damaged_store_is_said_and_kept(agent: Agent) -> None:
    """The agent stays, so that Docker does not start it again and again; /readyz says why it cannot work."""
    database = agent.data / "agent" / "agent.db"
    database.parent.mkdir(parents=True)
    damaged = b"This is no database. " * 500
    database.write_bytes(damaged)
    agent.start()
    answer = agent.get("/readyz")
    assert answer.status_code == 503
    assert str(database) in answer.json()["message"]
    assert agent.get("/api/containers").status_code == 503
    assert database.read_bytes() == damaged


def test_without_docker_it_serves_and_says_that_it_is_not_ready(agent: Agent) -> None:
    """Reads are answered from what is known; only what must change something needs Docker."""
    agent.engine_url = "unix:///nowhere/docker.sock"
    agent.start()
    answer = agent.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "docker_unavailable")
    assert agent.get("/api/containers").status_code == 200
    assert agent.get("/api/stats").status_code == 200


def test_a_second_agent_waits_for_the_first(agent: Agent, second: Agent) -> None:
    """Two agents never act on one data directory: the second says who has it, and takes over when it is free."""
    agent.start()
    second.start(wait=False)
    wait_until(lambda: WAITS in second.log, within=20, saying="the second one waits")
    assert f"pid {agent.worker().pid}" in second.log
    with pytest.raises(requests.Timeout):
        second.get("/api/health")
    assert agent.answers()
    assert agent.stop() == 0
    wait_until(second.is_ready, within=20, saying="the second one takes over")


def test_a_waiting_agent_ends_when_told(agent: Agent, second: Agent) -> None:
    """SIGTERM ends one that waits, too."""
    agent.start()
    second.start(wait=False)
    wait_until(lambda: WAITS in second.log, within=20, saying="the second one waits")
    assert second.stop() == 0


@pytest.mark.parametrize(
    "text",
    [
        b"garbage\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"\x16\x03\x01\x02\r\n\r\n",
    ],
    ids=["line", "version", "header", "TLS"],
)
def test_what_is_not_http_is_answered_in_the_envelope(agent: Agent, text: bytes) -> None:
    """Even below the application no error is an HTML page, and nothing of it gets into the log."""
    agent.start()
    head, body = agent.say(text)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body).keys() == {"status", "code", "message", "details"}
    assert "Traceback" not in agent.log


def test_callers_who_send_a_byte_at_a_time_are_cut_off(agent: Agent) -> None:
    """As many as there are threads, each never quite silent: after 10 s their threads serve others again."""
    agent.start()
    callers = [socket.create_connection(("127.0.0.1", agent.port), timeout=0.5) for _ in range(64)]
    try:
        began = time.monotonic()
        for caller in callers:
            caller.sendall(b"GET /api/health HTTP/1.1\r\nX-Slow: ")
        wait_until(lambda: not _drips(callers[0]), within=20, saying="a slow caller is cut off")
        assert 8 < time.monotonic() - began < 15
        wait_until(agent.answers, within=5, saying="others are served")
    finally:
        for caller in callers:
            caller.close()


def _drips(caller: socket.socket) -> bool:
    """Send one byte more, and wait half a second for the other side's end."""
    try:
        caller.sendall(b"x")
        return bool(caller.recv(4096))
    except TimeoutError:
        return True
    except OSError:
        return False


def test_an_orderly_end_is_prompt_and_told_to_the_orchestrator(agent: Agent) -> None:
    """SIGTERM: exit code 0 within seconds, the node is offline, and it was registered before."""
    with running_orchestrator() as orchestrator:
        agent.environ = {
            "ORCHESTRATOR_HOST": "127.0.0.1",
            "ORCHESTRATOR_PORT": str(orchestrator.port),
            "ADVERTISE_ADDRESS": "192.0.2.7",
        }
        agent.start()
        wait_until(lambda: orchestrator.heartbeats, within=10, saying="the node has registered, and its heart beats")
        assert orchestrator.nodes["node-1"]["ipAddress"] == "192.0.2.7"
        began = time.monotonic()
        assert agent.stop() == 0
        assert time.monotonic() - began < 8
        assert orchestrator.offline == ["node-1"]


def test_who_comes_last_is_refused(agent: Agent) -> None:
    """SIGTERM: a request that was taken before it and would begin something gets 503, and nothing is begun."""
    agent.start()
    wait_until(agent.is_ready, within=10, saying="the agent is ready")
    body = json.dumps({"serverId": "srv_a", "serverName": "a", "gamePort": 32500, "beaconPort": 32501, "maxPlayers": 4})
    head = f"POST /api/containers/spawn HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", agent.port), timeout=20) as caller:
        caller.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        wait_until(lambda: _is_received(agent), within=5, saying="the request's head was taken")
        assert agent.process is not None
        agent.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not _is_heard(agent), within=5, saying="nobody is let in any more")
        caller.sendall(body.encode())
        answer = caller.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"shutting_down" in answer
    assert agent.exit_code() == 0
    agent.start()
    assert agent.get("/api/containers").json()["containers"] == []


def _is_received(agent: Agent) -> bool:
    """Whether no byte waits in any connection of the agent's port."""
    own = [
        c for c in psutil.net_connections("tcp") if c.laddr and c.laddr.port == agent.port and c.status == "ESTABLISHED"
    ]
    return len(own) == 1 and own[0].pid == agent.worker().pid


def _is_heard(agent: Agent) -> bool:
    """Whether who comes now is answered; the port itself stays open until the worker is gone."""
    try:
        return requests.get(f"http://127.0.0.1:{agent.port}/api/health", timeout=0.5).ok
    except requests.RequestException:
        return False


def test_an_orchestrator_that_is_away_delays_nothing(agent: Agent) -> None:
    """The API is up at once and ends promptly, whoever does not answer."""
    agent.environ = {"ORCHESTRATOR_HOST": "127.0.0.1", "ORCHESTRATOR_PORT": "9"}
    agent.start()
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 8


def test_a_worker_without_its_master_is_gone(agent: Agent) -> None:
    """A master killed alone leaves nobody who holds the port or the data directory."""
    agent.start()
    worker = agent.worker()
    assert agent.process is not None
    agent.process.send_signal(signal.SIGKILL)
    agent.exit_code()
    wait_until(lambda: is_gone(worker), within=2, saying="the worker is gone")
    agent.start()
    wait_until(agent.is_ready, within=10, saying="the next one owns port and data")


def test_a_killed_worker_is_replaced(agent: Agent) -> None:
    """Gunicorn starts another, which owns the data directory in its turn."""
    agent.start()
    dead = agent.worker()
    dead.kill()
    wait_until(lambda: agent.worker().pid != dead.pid and agent.is_ready(), within=10, saying="another worker serves")


def test_a_request_in_flight_does_not_keep_a_killed_masters_worker(agent: Agent) -> None:
    """Such a worker would hold the port, and the next master could not listen."""
    agent.start()
    worker = agent.worker()
    head = f"POST /api/containers/spawn HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", agent.port), timeout=5) as caller:
        caller.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        assert agent.process is not None
        agent.process.kill()
        agent.exit_code()
        wait_until(lambda: is_gone(worker), within=2, saying="the worker is gone")
    agent.start()
