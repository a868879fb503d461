"""gunicorn with one worker, which owns the data directory and the rathole servers."""

import contextlib
import fcntl
import json
import os
import socket
import struct
import threading
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.workers.gthread import ThreadWorker

from core.log import get_logger
from edge.app import create_app
from edge.keys import NoiseKeys
from edge.manager import InstanceManager
from edge.settings import EdgeSettings

_log = get_logger("edge")
_LOCK_POLL = 0.2
_PART_TIMEOUT, _PART_READS = 1.0, 32  # seconds for each read; 2 MiB in all
# Seconds for requests in flight after SIGTERM. The master kills the worker at the end of its own
# count, so the worker stops waiting earlier: it still has the rathole servers to end.
_MASTER_GRACE, _WORKER_GRACE = 3, 1
_RECEIVE_TIMEOUT = struct.pack("ll", 10, 0)  # a timeval: seconds, microseconds


class EdgeWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker that waits for nobody for ever, and says in JSON what it cannot read."""

    def enqueue_req(self, conn: Any) -> None:  # noqa: ANN401 - gunicorn's connection, untyped
        """Take a connection on, with a limit on its silence: one that says nothing would hold a thread."""
        conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _RECEIVE_TIMEOUT)
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:  # noqa: ANN401
        """Serve a request and, where it was the last one, part from the caller here.

        gunicorn 27.0.1 parts in its main thread, which accepts nobody for up to 2 s per caller that keeps
        its side open.
        """
        kept = super().handle(conn)
        if kept is False:
            _part(conn.sock)
        return kept

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:  # noqa: ANN401
        """Answer what is not HTTP; the application answers everything else itself."""
        if req is not None:
            super().handle_error(req, client, addr, exc)
            return
        body = json.dumps({"status": "error", "code": "bad_request", "message": "This is not valid HTTP."})
        head = (
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with contextlib.suppress(OSError):  # whoever sent it may have gone
            client.sendall((head + body).encode())


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


class EdgeServer(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """The edge as gunicorn runs it.

    Args:
        settings: the edge's.
        keys: the edge's.
    """

    def __init__(self, settings: EdgeSettings, keys: NoiseKeys) -> None:
        self._settings = settings
        self._manager = InstanceManager(settings, keys)
        super().__init__()

    def load_config(self) -> None:
        """Set what differs from gunicorn's defaults."""
        options = {
            "bind": f"0.0.0.0:{self._settings.edge_api_port}",
            "workers": 1,  # the state is in the process
            "worker_class": EdgeWorker,
            "threads": 32,
            "keepalive": 0,  # kept-alive connections would delay the end by seconds
            "graceful_timeout": _MASTER_GRACE,
            "worker_tmp_dir": "/dev/shm",  # noqa: S108 - a disk that is slow would look like a hung worker
            "control_socket_disable": True,  # it wants a HOME to write in
            "loglevel": "warning",
            "post_worker_init": self._begin,
            "worker_exit": self._end,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return what gunicorn serves."""
        return create_app(
            self._manager,
            token=self._settings.rathole_token,
            public_host=self._settings.edge_public_host,
        )

    def _begin(self, worker: EdgeWorker) -> None:
        """Start the rathole servers, once no other worker or edge has the data directory."""
        worker.cfg.set("graceful_timeout", _WORKER_GRACE)
        if _own(self._settings.edge_data_dir, worker):
            self._manager.begin()

    def _end(self, _arbiter: object, _worker: EdgeWorker) -> None:
        self._manager.end()


def _own(directory: Path, worker: EdgeWorker) -> bool:
    """Wait until the data directory is this process's, and keep it so while it lives.

    Returns:
        False when the worker was told to end meanwhile.
    """
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    said = False
    while worker.alive and worker.is_parent_alive():
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not said:
                _log.warning("Another edge has the data directory; waiting for its end.", path=str(directory))
                said = True
            worker.notify()
            threading.Event().wait(_LOCK_POLL)
        else:
            return True
    return False
