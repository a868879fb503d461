"""A real edge, real rathole clients and echoing game servers, all on this machine."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import requests
import tomli_w

from tests.waiting import wait_until

TOKEN = "integration-token-0123456789"
_TIMEOUT = 10


def free_block(size: int) -> int:
    """Return the first of `size` ports in a row that nobody holds, below the kernel's own choices."""
    for _ in range(200):
        first = random.randrange(20000, 32000 - size)  # noqa: S311 - not a secret
        if all(_is_free(port) for port in range(first, first + size)):
            return first
    raise AssertionError(f"no {size} free ports in a row on this machine")


def _is_free(port: int) -> bool:
    with contextlib.ExitStack() as stack:
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True


@dataclass
class Edge:
    """`python -m edge` as a process, with six public ports and three control ports."""

    binary: Path
    folder: Path
    first_port: int = field(default_factory=lambda: free_block(10))
    environ: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def api_port(self) -> int:
        """Where its API listens; the public ports are the six after it."""
        return self.first_port

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.folder / "edge.log").read_text()

    def port(self, number: int) -> int:
        """Return one of its six public ports."""
        return self.first_port + 1 + number

    def start(self, *, wait: bool = True) -> None:
        """Start it and wait until it answers."""
        first = self.first_port
        environ = {
            "PATH": os.environ["PATH"],
            "EDGE_API_PORT": str(first),
            "EDGE_PORTS": f"{first + 1}-{first + 6}",
            "EDGE_CONTROL_PORTS": f"{first + 7}-{first + 9}",
            "EDGE_DATA_DIR": str(self.folder / "data"),
            "EDGE_PUBLIC_HOST": "127.0.0.1",
            "EDGE_REMOTE_HOST": "127.0.0.1",
            "RATHOLE_TOKEN": TOKEN,
            "RATHOLE_BINARY": str(self.binary),
        }
        with (self.folder / "edge.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge"],
                env=environ | self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            wait_until(self.health, within=15, saying="the edge answers")

    def health(self) -> dict[str, Any]:
        """Return what its health says."""
        answer: dict[str, Any] = requests.get(f"http://127.0.0.1:{self.api_port}/health", timeout=2).json()
        return answer

    def call(self, method: str, path: str = "", *, token: str = TOKEN, **arguments: Any) -> requests.Response:  # noqa: ANN401 - requests' own
        """Call its API of instances."""
        url = f"http://127.0.0.1:{self.api_port}/api/instances{path}"
        headers = {"X-API-Token": token}
        return requests.request(method, url, headers=headers, timeout=_TIMEOUT, **arguments)

    def create(self, server_id: str, game: int, query: int) -> requests.Response:
        """Ask for an instance on two of its public ports, by their numbers."""
        body = {"server_id": server_id, "game_port": self.port(game), "query_port": self.port(query)}
        return self.call("POST", json=body)

    def instance(self, server_id: str) -> dict[str, Any]:
        """Return what it says of an instance."""
        answer: dict[str, Any] = self.call("GET", f"/{server_id}").json()["instance"]
        return answer

    def worker(self) -> psutil.Process:
        """Return gunicorn's worker, which owns the rathole servers."""
        assert self.process is not None
        (worker,) = [p for p in psutil.Process(self.process.pid).children() if "edge" in p.cmdline()]
        return worker

    def rathole_servers(self) -> list[psutil.Process]:
        """Return every rathole server below its data directory, whoever its parent is."""
        return [p for p in psutil.process_iter() if self._is_ours(p)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            words = process.cmdline()
        except psutil.Error:
            return False
        return "--server" in words and words[-1].startswith(str(self.folder))

    def stop(self) -> int:
        """End it as Docker does; returns its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=_TIMEOUT)

    def kill(self) -> None:
        """Kill master and worker at once, as the kernel does when memory runs out."""
        assert self.process is not None
        worker = self.worker()
        self.process.send_signal(signal.SIGKILL)
        worker.kill()
        self.process.wait(timeout=_TIMEOUT)

    def clear(self) -> None:
        """End whatever is left of it."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for server in self.rathole_servers():
            server.kill()


class Echo:
    """A game server on loopback: answers each message with its own name in front."""

    def __init__(self, name: str, kind: socket.SocketKind) -> None:
        self._name, self._socket = name.encode(), socket.socket(socket.AF_INET, kind)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        if kind == socket.SOCK_STREAM:
            self._socket.listen(64)
        serve = self._serve_tcp if kind == socket.SOCK_STREAM else self._serve_udp
        threading.Thread(target=serve, daemon=True).start()

    def close(self) -> None:
        """Stop answering; the thread ends with its socket."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve_tcp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection, contextlib.suppress(OSError):
                    connection.settimeout(_TIMEOUT)
                    connection.sendall(self._name + b":" + connection.recv(2048))

    def _serve_udp(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                data, address = self._socket.recvfrom(2048)
                if address is None:  # closed while it waited
                    return
                self._socket.sendto(self._name + b":" + data, address)


class Game:
    """One game server with its real rathole client, whose configuration is the edge's.

    Only the local ports differ from what the edge says: both ends are one machine here, so the
    public port numbers are not to be had a second time.
    """

    def __init__(self, edge: Edge, server_id: str) -> None:
        self._edge, self._server_id = edge, server_id
        self._echoes = {
            "game_tcp": Echo("game_tcp", socket.SOCK_STREAM),
            "game_udp": Echo("game_udp", socket.SOCK_DGRAM),
            "query": Echo("query", socket.SOCK_STREAM),
        }
        answer = edge.call("GET", f"/{server_id}/client-config", params={"host_ip": "127.0.0.1"})
        config = tomllib.loads(answer.json()["config"])
        for name, echo in self._echoes.items():
            config["client"]["services"][f"{server_id}_{name}"]["local_addr"] = f"127.0.0.1:{echo.port}"
        self._path = edge.folder / f"{server_id}-client.toml"
        self._path.write_text(tomli_w.dumps(config))
        with self._path.with_suffix(".log").open("wb") as log:
            self._client = subprocess.Popen(
                [edge.binary, "--client", self._path],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"RUST_LOG": "info"},
            )

    def assert_reachable(self, within: float = 10) -> None:
        """Send a player's message through each public port, and see each answer come back."""
        instance = self._edge.instance(self._server_id)
        ports = {
            "game_tcp": instance["tunnel_game_tcp_port"],
            "game_udp": instance["tunnel_game_udp_port"],
            "query": instance["tunnel_query_port"],
        }
        for name, port in ports.items():
            wait_until(
                partial(_answers, name, port),
                within=within,
                saying=f"{name} of {self._server_id} answers through port {port}",
            )

    def close(self) -> None:
        """End client and game."""
        self._client.kill()
        self._client.wait()
        for echo in self._echoes.values():
            echo.close()


def ask_tcp(port: int) -> str:
    """Return what answers at a public TCP port."""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as visitor:
        visitor.sendall(b"hello")
        return visitor.recv(2048).decode()


def ask_udp(port: int) -> str:
    """Return what answers at a public UDP port, as a new player."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as visitor:
        visitor.settimeout(0.5)
        visitor.sendto(b"hello", ("127.0.0.1", port))
        return visitor.recv(2048).decode()


def _answers(name: str, port: int) -> bool:
    ask = ask_udp if name == "game_udp" else ask_tcp
    return ask(port) == f"{name}:hello"
