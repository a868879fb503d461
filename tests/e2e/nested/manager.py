"""A manager that lies, is slow or hangs up for one server or another; what it does not bend the real one answers."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

import requests

Fault = Literal["down", "slow", "html", "half", "exists", "foreign"]
_CANNED: dict[Fault, tuple[int, bytes]] = {
    "html": (200, b"<html>It works!</html>"),
    "half": (200, b'{"status": "success", "rathole_port": 2'),
    "exists": (500, b'{"status": "error", "message": "Instance %s already exists"}'),
}
_TIMEOUT = 30


class Manager:
    """Stands before the real one.

    Args:
        address: where it listens, of this machine.
        behind: the real one's base address.
        delay: seconds that a slow one takes for each answer.

    Attributes:
        faults: by server id.
    """

    def __init__(self, address: str, behind: str, delay: float) -> None:
        self.faults: dict[str, Fault] = {}
        self.behind = behind
        self._delay = delay
        self._closed = threading.Event()
        manager = self

        class Handler(_Handler):
            front = manager

        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes] | None:
        """Return status and body; None to hang up."""
        server_id = json.loads(body)["server_id"] if body else path.partition("?")[0].split("/")[3]
        fault = self.faults.get(server_id)
        if fault == "down":
            return None
        if fault == "slow":
            self._closed.wait(self._delay)
        if fault in _CANNED and method == "POST":
            status, text = _CANNED[fault]
            return status, text.replace(b"%s", server_id.encode())
        answer = requests.request(method, self.behind + path, headers=headers, data=body, timeout=_TIMEOUT)
        if fault == "foreign" and "/client-config" in path:
            return answer.status_code, _of_another(answer.json(), server_id)
        return answer.status_code, answer.content


def _of_another(answer: dict[str, str], server_id: str) -> bytes:
    """Say that it is this server's file, and give another one's."""
    return json.dumps({**answer, "config": answer["config"].replace(server_id, "srv_other_00000001")}).encode()


class _Handler(BaseHTTPRequestHandler):
    front: Manager

    def do_GET(self) -> None:
        """Answer, late or wrongly."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in {"host", "connection"}}
        answer = self.front.answer(self.command, self.path, headers, body)
        if answer is None:
            self.close_connection = True
            return
        with contextlib.suppress(ConnectionError):  # who asked may have given up
            self.send_response(answer[0])
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

    do_POST = do_DELETE = do_GET  # noqa: N815 - the library's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""
