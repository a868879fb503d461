"""gunicorn with one worker, which owns the data directory and the rathole servers."""

from flask import Flask
from gunicorn.app.base import BaseApplication

from core.ownership import DataLock
from core.worker import Worker
from edge.app import create_app
from edge.keys import NoiseKeys
from edge.manager import InstanceManager
from edge.settings import EdgeSettings

# Seconds for requests in flight after SIGTERM. The master kills the worker at the end of its own
# count, so the worker stops waiting earlier: it still has the rathole servers to end.
_MASTER_GRACE, _WORKER_GRACE = 8, 1


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
            "worker_class": Worker,
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

    def _begin(self, worker: Worker) -> None:
        """Start the rathole servers, once no other worker or edge has the data directory."""
        worker.cfg.set("graceful_timeout", _WORKER_GRACE)
        self._lock = DataLock(self._settings.edge_data_dir / "lock")
        if self._lock.acquire(worker.keep_waiting):
            self._manager.begin()

    def _end(self, _arbiter: object, _worker: Worker) -> None:
        self._manager.end()
