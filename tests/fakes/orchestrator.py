"""An orchestrator that is a real HTTP server, of both ages, with the faults that the field has shown."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Fault = Literal["500", "400", "html", "garbage", "redirect", "slow", "slow_body", "trickle", "endless", "reset"]


@dataclass
class FakeOrchestrator:
    """What it knows and how it behaves.

    Attributes:
        register_path: where nodes register; an orchestrator of the other age has another.
        port: where it listens, and listens again after having been down.
        nodes: the nodes that registered, by id. Clearing it is the loss of the database.
        heartbeats: node and body of each heartbeat of a known node.
        offline: the nodes that said that they go.
        requests: method and path of whatever was asked.
        headers: the headers of whatever was asked.
        fault: what goes wrong with each request, until it is None.
        released: ends the waiting of the slow faults.
    """

    register_path: str = "/api/nodes/register"
    port: int = 0
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    heartbeats: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    offline: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    fault: Fault | None = None
    released: threading.Event = field(default_factory=threading.Event)
    _server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Listen, at the same port as before."""
        fake = self

        class Handler(_Handler):
            orchestrator = fake

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Be down: connections are refused."""
        self.released.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, path: str, body: dict[str, Any] | None) -> tuple[int, object]:
        """Do what an orchestrator does; return status and answer."""
        if path == self.register_path:
            return self._register(body or {})
        parts = path.strip("/").split("/")
        if len(parts) == 4 and parts[:2] == ["api", "nodes"] and parts[3] == "stats":
            return self._beat(parts[2], body or {})
        if len(parts) == 4 and parts[:2] == ["api", "nodes"] and parts[3] == "offline":
            self.offline.append(parts[2])
            return 200, {"message": "ok"}
        return 404, {"error": "Not Found"}

    def _register(self, body: dict[str, Any]) -> tuple[int, object]:
        kinds = {"nodeId": str, "hostname": str, "ipAddress": str, "maxServers": int}
        if any(not isinstance(body.get(name), kind) for name, kind in kinds.items()):
            return 400, {"error": "Missing fields"}
        self.nodes[body["nodeId"]] = body
        return 201, body

    def _beat(self, node: str, body: dict[str, Any]) -> tuple[int, object]:
        needed = ("cpuUsage", "memoryUsage", "diskUsage")
        if any(not isinstance(body.get(name), (int, float)) for name in needed):
            return 400, {"error": "cpuUsage, memoryUsage and diskUsage are required"}
        # The one in the field answers 200 for a node that it does not know, and forgets what it was told.
        if node in self.nodes:
            self.heartbeats.append((node, body))
        return 200, {"message": "Stats updated", "nodeId": node}


class _Handler(BaseHTTPRequestHandler):
    orchestrator: FakeOrchestrator

    def do_POST(self) -> None:
        fake = self.orchestrator
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        fake.requests.append(f"POST {self.path}")
        fake.headers.append(dict(self.headers))
        if fake.fault:
            self._misbehave(fake.fault)
        else:
            status, answer = fake.answer(self.path, json.loads(text) if text else None)
            self._send(status, json.dumps(answer).encode(), "application/json")

    def _misbehave(self, fault: Fault) -> None:
        match fault:
            case "500" | "400":
                self._send(int(fault), b'{"error": "it is\\u001b[2J broken"}', "application/json")
            case "html":
                self._send(200, b"<html>It works!</html>", "text/html")
            case "garbage":
                self.wfile.write(b"\x00\x01 what?\r\n\r\n")
                self.close_connection = True
            case "redirect":
                self.send_response(307)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case "slow":
                self.orchestrator.released.wait(10)
            case "reset":
                self.close_connection = True
            case "slow_body" | "trickle" | "endless":
                self._send_without_end(fault)

    def _send_without_end(self, fault: Fault) -> None:
        self.send_response(200)
        self.end_headers()
        part = b" " * (8192 if fault == "endless" else 1)
        pause = {"endless": 0.0, "trickle": 0.02, "slow_body": 10.0}[fault]
        while not self.orchestrator.released.wait(pause):
            try:
                self.wfile.write(part)
            except OSError:
                return

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing: a test looks at what was asked."""


@contextmanager
def running_orchestrator(register_path: str = "/api/nodes/register") -> Iterator[FakeOrchestrator]:
    """Run one for the length of the block."""
    fake = FakeOrchestrator(register_path)
    fake.start()
    try:
        yield fake
    finally:
        fake.stop()
