"""`python -m edge` as a process: how it starts, refuses to start, waits and ends."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.integration.edge_rig import Edge, free_block
from tests.waiting import is_gone, wait_until


@pytest.fixture
def edge(tmp_path: Path, rathole_binary: str) -> Iterator[Edge]:
    """Return an edge that is not started yet."""
    edge = Edge(Path(rathole_binary), tmp_path)
    try:
        yield edge
    finally:
        edge.clear()


def _exit_code(edge: Edge) -> int:
    assert edge.process is not None
    return edge.process.wait(timeout=20)


def test_all_faults_of_the_settings_are_named_with_exit_code_2(edge: Edge) -> None:
    """An operator reads them in the log, one line each, and a restart is known to be useless."""
    edge.environ = {"RATHOLE_TOKEN": "short", "EDGE_PUBLIC_HOST": "", "EDGE_PORTS": "x"}
    edge.start(wait=False)
    assert _exit_code(edge) == 2
    assert sorted(line.split()[0].rstrip(":") for line in edge.log.splitlines()) == [
        "EDGE_PORTS",
        "EDGE_PUBLIC_HOST",
        "RATHOLE_TOKEN",
    ]
    assert not (edge.folder / "data").exists()


def test_a_damaged_key_file_ends_the_start_in_a_sentence(edge: Edge) -> None:
    """Exit code 2 and one line, no traceback."""
    (edge.folder / "data").mkdir()
    (edge.folder / "data" / "noise-keys.json").write_text("{}")
    edge.start(wait=False)
    assert _exit_code(edge) == 2
    assert edge.log.count("\n") == 1
    assert "holds no usable key pair" in edge.log


def test_the_keys_outlive_the_edge(edge: Edge) -> None:
    """The key pair is real, private on disk, and the same after a restart."""
    edge.start()
    path = edge.folder / "data" / "noise-keys.json"
    keys = json.loads(path.read_text())
    assert path.stat().st_mode & 0o777 == 0o600
    assert edge.stop() == 0
    edge.start()
    assert json.loads(path.read_text()) == keys


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_promptly_with_all_its_servers(edge: Edge, number: signal.Signals) -> None:
    """Exit code 0 well within Docker's ten seconds, even with an idle connection open."""
    edge.start()
    edge.create("srv_1", 0, 1)
    edge.create("srv_2", 2, 3)
    assert edge.process is not None
    with socket.create_connection(("127.0.0.1", edge.api_port)):
        began = time.monotonic()
        edge.process.send_signal(number)
        assert _exit_code(edge) == 0
    assert time.monotonic() - began < 8
    assert edge.rathole_servers() == []


def test_a_second_edge_waits_for_the_first(edge: Edge, tmp_path: Path) -> None:
    """Two edges on one data directory never act at once: the second says who it waits for, then takes over."""
    edge.start()
    edge.create("srv_1", 0, 1)
    (tmp_path / "second").mkdir()
    second = Edge(edge.binary, tmp_path / "second", first_port=free_block(10))
    second.environ = {"EDGE_DATA_DIR": str(tmp_path / "data")}
    try:
        second.start(wait=False)
        wait_until(lambda: "Another process owns the data directory" in second.log, within=15, saying="it waits")
        with pytest.raises(requests.Timeout):
            second.health()
        assert edge.instance("srv_1")["is_running"]
        assert edge.stop() == 0
        wait_until(lambda: second.health()["active_instances"] == 1, within=15, saying="it takes over")
        assert "EDGE_PORTS" in second.log
    finally:
        second.clear()


def test_a_waiting_edge_ends_when_told(edge: Edge, tmp_path: Path) -> None:
    """SIGTERM ends one that waits for the data directory, too."""
    edge.start()
    (tmp_path / "second").mkdir()
    second = Edge(edge.binary, tmp_path / "second", first_port=free_block(10))
    second.environ = {"EDGE_DATA_DIR": str(tmp_path / "data")}
    try:
        second.start(wait=False)
        wait_until(lambda: "Another process owns the data directory" in second.log, within=15, saying="it waits")
        assert second.stop() == 0
    finally:
        second.clear()


def test_a_worker_without_its_master_ends(edge: Edge) -> None:
    """A master that was killed alone leaves no worker that holds ports and data directory."""
    edge.start()
    edge.create("srv_1", 0, 1)
    worker = edge.worker()
    assert edge.process is not None
    edge.process.kill()
    _exit_code(edge)
    wait_until(lambda: is_gone(worker), within=10, saying="the worker is gone")
    assert edge.rathole_servers() == []
    edge.start()
    assert edge.instance("srv_1")["game_port"] == edge.port(0)


@pytest.mark.parametrize(
    "text",
    [b"garbage\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\nbad header\r\n\r\n"],
    ids=["line", "version", "header"],
)
def test_what_is_not_http_is_answered_in_json(edge: Edge, text: bytes) -> None:
    """Even below the application no error is an HTML page."""
    edge.start()
    with socket.create_connection(("127.0.0.1", edge.api_port), timeout=10) as caller:
        caller.sendall(text)
        head, _, body = caller.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert json.loads(body)["code"] == "malformed_request"


def test_silent_callers_do_not_keep_others_waiting_for_ever(edge: Edge) -> None:
    """As many half requests as there are threads cost some seconds, not the service."""
    edge.start()
    callers = [socket.create_connection(("127.0.0.1", edge.api_port)) for _ in range(32)]
    try:
        for caller in callers:
            caller.sendall(b"GET /health HT")
        wait_until(lambda: edge.health()["status"] == "healthy", within=20, saying="the edge answers")
    finally:
        for caller in callers:
            caller.close()


def test_callers_who_do_not_hang_up_keep_nobody_waiting(edge: Edge) -> None:
    """A caller who got his answer and keeps his side open costs the others nothing."""
    edge.start()
    callers = [socket.create_connection(("127.0.0.1", edge.api_port), timeout=10) for _ in range(8)]
    try:
        for caller in callers:
            caller.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert all(caller.recv(65536).startswith(b"HTTP/1.1 200 ") for caller in callers)
        wait_until(lambda: edge.health()["status"] == "healthy", within=4, saying="the edge answers")
    finally:
        for caller in callers:
            caller.close()


def test_a_chunked_body_has_the_same_limit(edge: Edge) -> None:
    """A body that does not say its length is cut off at 1 MiB as well."""
    edge.start()
    chunks = (b"x" * 65536 for _ in range(32))
    answer = edge.call("POST", data=chunks)
    assert answer.status_code in {413, 415}
    assert answer.json()["status"] == "error"


def test_it_needs_nothing_of_its_callers_folder(edge: Edge) -> None:
    """A relative data directory is taken from where it was started, and found again."""
    relative = os.path.relpath(edge.folder / "data")
    edge.environ = {"EDGE_DATA_DIR": relative}
    edge.start()
    assert edge.create("srv_1", 0, 1).status_code == 200
    assert (edge.folder / "data" / "instances" / "srv_1").is_dir()
    (server,) = edge.rathole_servers()
    edge.kill()
    edge.environ = {}
    edge.start()
    wait_until(lambda: is_gone(server), within=10, saying="the stray was found and ended")
