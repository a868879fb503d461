"""How gunicorn runs the agent: one worker, since what the agent knows of its threads is in one process."""

import ctypes
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from agent import settings_from_here
from core.errors import StoreFailed
from core.files import make_private_directory
from core.log import configure_logging, get_logger
from core.ownership import DataLock
from core.settings import SettingsFault
from core.store import Store
from orchestrator.client import send_offline
from provisioning.layout import Layout

_PR_SET_PDEATHSIG = 1
_WRONG_SETTINGS = 2
_EXIT_SECONDS = 5


def _refuse(text: str) -> None:
    """End gunicorn with 2, which the run loop passes on: trying again would not help."""
    sys.stderr.write(f"The agent does not start:\n{text}\n")
    raise SystemExit(_WRONG_SETTINGS)


try:
    settings = settings_from_here()
except SettingsFault as fault:
    _refuse(str(fault))
layout = Layout(settings.satis_data_dir)
try:
    make_private_directory(layout.lock.parent)
except StoreFailed as fault:
    _refuse(f"SATIS_DATA_DIR cannot be used: {fault.message}")
try:
    # Not more: the store may still be another agent's, and is opened, and brought up to date, by its owner alone.
    Store(layout.database).check_version()
except StoreFailed as fault:
    # A damaged store, or a full disk, does not end the agent, which Docker would only start again: /readyz tells.
    if fault.code == "store_too_new":
        _refuse(fault.message)

configure_logging()
log = get_logger("gunicorn")

wsgi_app = "agent:create_app()"
bind = f"0.0.0.0:{settings.host_agent_port}"
certfile = str(settings.host_agent_tls_cert) if settings.host_agent_tls_cert else None
keyfile = str(settings.host_agent_tls_key) if settings.host_agent_tls_key else None
worker_class = "core.worker.Worker"
threads = 64
preload_app = False
max_requests = 0
timeout = 30  # of the worker's own liveness, not of a request
graceful_timeout = 30
worker_tmp_dir = "/dev/shm"  # noqa: S108 - memory, so that a slow disk never looks like a dead worker
control_socket_disable = True


def on_starting(server: Any) -> None:  # noqa: ANN401 - gunicorn's own types are not public
    """Refuse more than one worker; not above, since gunicorn reads GUNICORN_CMD_ARGS after this file."""
    if server.cfg.workers != 1:
        _refuse("The agent is one process: WEB_CONCURRENCY must be 1 or unset, and GUNICORN_CMD_ARGS without workers.")


def on_reload(server: Any) -> None:  # noqa: ANN401 - gunicorn's own types are not public
    """SIGHUP: kill the worker, which is made to die anywhere, rather than ask it.

    Asked, it would keep the data directory until its last caller is answered, and nobody else be served for 25 s.
    """
    for pid in list(server.WORKERS):
        server.kill_worker(pid, signal.SIGKILL)


def post_fork(_server: Any, _worker: Any) -> None:  # noqa: ANN401 - gunicorn's own types are not public
    """Let the worker go with its master, else it keeps the port and a new master cannot listen (tried)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def post_worker_init(worker: Any) -> None:  # noqa: ANN401
    """Own the data directory before anything is served, then start the background."""
    # The master kills the worker at the end of its own count, so the worker stops waiting earlier.
    worker.cfg.set("graceful_timeout", worker.cfg.graceful_timeout - _EXIT_SECONDS)
    worker.data_lock = DataLock(layout.lock)
    if worker.data_lock.acquire(worker.keep_waiting):
        worker.wsgi.extensions["runtime"].start(lambda: worker.alive)


def worker_exit(_server: Any, worker: Any) -> None:  # noqa: ANN401
    """End the background; tunnels and games go on."""
    if worker.wsgi is not None:
        worker.wsgi.extensions["runtime"].stop()


def on_exit(_server: Any) -> None:  # noqa: ANN401
    """Tell the orchestrator that this node is gone for now."""
    send_offline(settings)
