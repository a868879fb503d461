"""A Docker engine that is an HTTP server on a unix socket: one network, no containers, nothing ever happens.

No pull comes to an end, so that an operation can be under way for as long as a test wants.
"""

import json
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs

from compose.file import NETWORK

_NETWORK = {"Id": "n1", "Name": NETWORK, "Created": "2026-01-01T00:00:00Z", "Labels": {}, "IPAM": {"Config": []}}
_ANSWERS: dict[str, object] = {
    "/version": {"ApiVersion": "1.41", "MinAPIVersion": "1.12"},
    "/_ping": "OK",
    "/v1.41/containers/json": [],
    "/v1.41/networks": [_NETWORK],
    "/v1.41/networks/n1": {**_NETWORK, "Containers": {}},
    "/v1.41/networks/n1/connect": {},
}


class FakeEngine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Serves until it is closed; whoever follows its events, or a pull, hears nothing."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        self.url = f"unix://{path}"
        self.closed = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: FakeEngine
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer what is known; anything else is not there, as Docker says it."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        if path.endswith("/images/create"):
            self.server.closed.wait()
            return
        if path.endswith("/events"):
            self._events(float(parse_qs(query)["until"][0]))
            return
        known = path in _ANSWERS
        body = json.dumps(_ANSWERS[path] if known else {"message": "No such thing"}).encode()
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _events(self, until: float) -> None:
        """Nothing has happened, and nothing will."""
        if until > time.time():
            self.server.closed.wait()
            return
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def running_engine(path: Path) -> Iterator[FakeEngine]:
    """Run one at this socket for the length of the block."""
    engine = FakeEngine(path)
    threading.Thread(target=engine.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield engine
    finally:
        engine.closed.set()
        engine.shutdown()
        engine.server_close()
