"""An instance manager as deployed, played by an HTTP server of the standard library."""

import contextlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

CONFIG = """
    [client]
    remote_addr = "0.0.0.0:{rathole_port}"
    heartbeat_timeout = 40
    retry_interval = 1

    [client.transport]
    type = "tcp"
    [client.transport.tcp]
    keepalive_secs = 20
    keepalive_interval = 8

    [client.services.{id}_game_tcp]
    type = "tcp"
    token = "t0ken"
    nodelay = true
    local_addr = "{host}:{game}"

    [client.services.{id}_game_udp]
    type = "udp"
    token = "t0ken"
    local_addr = "{host}:{game}"

    [client.services.{id}_query]
    token = "t0ken"
    local_addr = "{host}:{query}"
"""


@dataclass(frozen=True)
class Seen:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One answer to give in place of the usual one; `gate` holds it back until it is set."""

    status: int
    body: object
    headers: dict[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None


class FakeManager:
    """Listens on a free port of the loopback; `seen` holds what was asked, `say` bends the next answers."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.instances: dict[str, dict[str, Any]] = {}
        self._said: list[Said] = []
        self._next_port = 40000
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def say(self, status: int, body: object, **more: Any) -> None:  # noqa: ANN401 - fields of Said
        """Give this answer to the next request; several are given in turn."""
        self._said.append(Said(status, body, **more))

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Seen) -> Said:
        """Return what the deployed manager would say."""
        self.seen.append(request)
        if self._said:
            return self._said.pop(0)
        if request.path.endswith("/health"):
            return Said(200, {"status": "healthy", "active_instances": len(self.instances)})
        if request.method == "POST":
            return self._create(request.body)
        return self._existing(request)

    def _create(self, body: dict[str, Any]) -> Said:
        server_id = body["server_id"]
        if server_id in self.instances:
            return Said(500, {"status": "error", "message": f"Instance {server_id} already exists"})
        first, self._next_port = self._next_port, self._next_port + 2
        self.instances[server_id] = {
            "server_id": server_id,
            "game_port": body["game_port"],
            "query_port": body["query_port"],
            "rathole_port": first - 20000,
            "tunnel_game_tcp_port": first,
            "tunnel_game_udp_port": first,
            "tunnel_query_port": first + 1,
            "public_connection_info": {
                "game_tcp_address": f"203.0.113.9:{first}",
                "game_udp_address": f"203.0.113.9:{first}",
                "query_address": f"203.0.113.9:{first + 1}",
            },
            "is_running": True,
        }
        return Said(200, {"status": "success", **self.instances[server_id]})

    def _existing(self, request: Seen) -> Said:
        _, _, after = request.path.partition("/api/instances/")
        server_id, _, rest = after.partition("/")
        instance = self.instances.get(server_id)
        if instance is None:
            return Said(404, {"status": "error", "message": "Instance not found"})
        if request.method == "DELETE":
            del self.instances[server_id]
            return Said(200, {"status": "success"})
        if rest == "client-config":
            return Said(200, {"status": "success", "config": _config(instance, request), "server_id": server_id})
        return Said(200, {"status": "success", "instance": instance})


def _config(instance: dict[str, Any], request: Seen) -> str:
    """Return the file, whose addresses hold the ports asked for, not the public ones."""
    return CONFIG.format(
        rathole_port=instance["rathole_port"],
        id=instance["server_id"],
        host=request.query.get("host_ip", "127.0.0.1"),
        game=instance["game_port"],
        query=instance["query_port"],
    )


def _handler_of(manager: FakeManager) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve()

        do_POST = do_DELETE = do_GET  # noqa: N815 - the library's names

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            body = json.loads(self.rfile.read(length) or b"{}")
            said = manager.answer(Seen(self.command, parts.path, query, dict(self.headers), body))
            if said.gate:
                said.gate.wait(30)
            with contextlib.suppress(ConnectionError):  # who asked may have given up
                self._say(said)

        def _say(self, said: Said) -> None:
            data = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            self.send_response(said.status)
            for name, value in {"Content-Length": str(len(data)), **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing on stderr."""

    return Handler
