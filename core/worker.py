"""gunicorn's thread worker with manners: no caller holds a thread for nothing, no answer is HTML."""

import contextlib
import json
import socket
import threading
import time
from typing import Any

from gunicorn.http import errors as http
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker

# How long a caller may take to send the head of a request, in seconds.
_RECEIVE_TIMEOUT = 10.0
_CHECK_INTERVAL = 1.0
_LOCK_POLL = 0.05
_PART_TIMEOUT, _PART_READS = 1.0, 32  # seconds for each read; 2 MiB in all
_STATUS = {
    http.LimitRequestLine: (414, "URI Too Long", "uri_too_long", "The address is too long."),
    http.LimitRequestHeaders: (
        431,
        "Request Header Fields Too Large",
        "headers_too_large",
        "The headers are too long.",
    ),
}
_MALFORMED = (400, "Bad Request", "malformed_request", "This is not a well-formed HTTP/1.1 request.")
_FAILED = (500, "Internal Server Error", "internal_error", "The server failed; its log says why.")


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Cuts off callers that send nothing or a byte at a time; answers malformed HTTP in JSON."""

    def init_process(self) -> None:
        """Begin to watch for slow callers, then serve."""
        self._receiving: dict[int, tuple[float, Any]] = {}
        self._pause = threading.Event()
        threading.Thread(target=self._cut_off_slow, name="slow_callers", daemon=True).start()
        super().init_process()

    def keep_waiting(self) -> bool:
        """Pause before serving begins, saying that we live; tell whether we are still wanted."""
        self.notify()
        self._pause.wait(_LOCK_POLL)
        return bool(self.alive and self.is_parent_alive())

    def handle(self, conn: Any) -> Any:  # noqa: ANN401 - gunicorn's own types are not public
        """Receive and answer one request; receiving has a deadline as a whole, not only each read.

        Where it was the last one, part from the caller here: gunicorn 27.0.1 does so in its main thread, which
        accepts nobody for up to 2 s per caller that keeps its side open.
        """
        self._receiving[id(conn)] = (time.monotonic() + _RECEIVE_TIMEOUT, conn)
        try:
            kept = super().handle(conn)
        finally:
            self._receiving.pop(id(conn), None)
        if kept is False:
            _part(conn.sock)
        return kept

    def handle_request(self, req: Any, conn: Any) -> Any:  # noqa: ANN401
        """Answer a request whose head has been received: from here on it may take its time."""
        self._receiving.pop(id(conn), None)
        return super().handle_request(req, conn)

    def _cut_off_slow(self) -> None:
        """Give a thread that reads the end of the stream, which gunicorn takes as a caller that went away."""
        while not self._pause.wait(_CHECK_INTERVAL):
            now = time.monotonic()
            for deadline, conn in list(self._receiving.values()):
                if now > deadline:
                    with contextlib.suppress(OSError):
                        conn.sock.shutdown(socket.SHUT_RDWR)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:  # noqa: ANN401, ARG002
        """Answer what gunicorn itself refused; what a caller sent stays out of the log, for it may hold a key."""
        status, reason, code, message = _outcome(exc)
        if status == _FAILED[0]:
            self.log.error("Error outside the application: %s", type(exc).__name__, exc_info=exc)
        body = json.dumps({"status": "error", "code": code, "message": message, "details": {}})
        head = f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        with contextlib.suppress(OSError):
            write_nonblock(client, f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())


def _outcome(exc: BaseException) -> tuple[int, str, str, str]:
    known = _STATUS.get(type(exc))
    if known:
        return known
    return _MALFORMED if isinstance(exc, http.ParseException) else _FAILED


def _part(connection: socket.socket) -> None:
    """Close our side, and wait shortly for the caller's: what he still sends would cut our answer off."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(_PART_TIMEOUT)
        for _ in range(_PART_READS):
            if not connection.recv(65536):
                break
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
