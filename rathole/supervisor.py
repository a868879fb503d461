"""All tunnels of this host: one rathole client for each server that shall have one, never two."""

import contextlib
import os
import random
import select
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

from core import proc
from core.clock import utc_now
from core.errors import StoreFailed
from core.log import get_logger
from core.models import TunnelState
from rathole import process as client
from rathole.services import ServiceStatus
from rathole.states import Event
from rathole.status import ProcessRecords, Tools, TunnelStatus, stopped
from rathole.tunnel import Tunnel

__all__ = ["ProcessRecords", "ServiceStatus", "Supervisor", "TunnelStatus"]

_GRACE_OF_STRAYS = 2.0  # seconds
_LOOK_AGAIN = 0.25  # seconds, while a client is connecting and its log may say more
_PASSING = frozenset({TunnelState.STARTING, TunnelState.CONNECTING})

log = get_logger("rathole")


class Supervisor:
    """Starts, watches and ends the rathole clients. Every method may be called from any thread.

    One thread calls `adopt` until it succeeds, then `wait` and `tick` in turns. Calls for one server wait for each
    other; those for different servers do not.

    Args:
        directory: holds a folder with a client.toml for each server (`$SATIS_DATA_DIR/rathole`).
        binary: rathole's name or path.
        records: where the processes are kept for a successor.
        on_change: told the id of a server whose tunnel has another state or reason.
        clock: monotonic, in seconds.
        random: a number in [0, 1).
        wall: the time, ISO 8601, UTC.
    """

    def __init__(  # noqa: PLR0913 - what a test must be able to hold still
        self,
        directory: Path,
        binary: str,
        records: ProcessRecords,
        *,
        on_change: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
        wall: Callable[[], str] = utc_now,
    ) -> None:
        self._directory = directory
        self._tools = Tools(binary, records, clock, wall, random)
        self._on_change = on_change
        self._tunnels: dict[str, Tunnel] = {}
        self._lock = threading.Lock()  # of the dictionary
        self._wakeup = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Not at the end of the process, where a thread may still wait on it.
        weakref.finalize(self, os.close, self._wakeup).atexit = False

    def run(self, server_id: str) -> None:
        """Have a client run for the client.toml of this server; start it anew where the file changed."""
        with self._held(server_id) as tunnel:
            tunnel.run()
        self._wake()

    def stop(self, server_id: str) -> None:
        """End the client of this server and wait for its end; none is fine.

        Raises:
            DeadlinePassed: the kernel does not let it die.
        """
        with self._held(server_id) as tunnel:
            tunnel.handle(Event.STOP)

    def bounce(self, server_id: str) -> None:
        """End the client of this server and start it again; players miss some 30 ms.

        Raises:
            DeadlinePassed: the kernel does not let it die.
        """
        with self._held(server_id) as tunnel:
            tunnel.handle(Event.BOUNCE)
        self._wake()

    def forget(self, server_id: str) -> None:
        """Stop the tunnel of a server that is deleted, and remember nothing of it."""
        self.stop(server_id)
        with self._lock:
            self._tunnels.pop(server_id, None)

    def status(self, server_id: str) -> TunnelStatus:
        """Return what the tunnel of this server does; it waits for nothing."""
        tunnel = self._all().get(server_id)
        return tunnel.status if tunnel else stopped(self._tools.wall())

    def tick(self) -> None:
        """Look at every tunnel once; one that somebody else has in hand is left for the next time."""
        for server_id, tunnel in self._all().items():
            if not tunnel.lock.locked():
                self._tick_one(server_id)

    def adopt(self) -> None:
        """Take over the clients of an earlier agent that still run, and end those that nobody knows."""
        for server_id, (identity, started_at) in self._tools.records.all().items():
            if process := client.adopt(identity):
                self._adopt(server_id, process, started_at)
            else:
                self._forget_record(server_id)
        self.end_strays()

    def _adopt(self, server_id: str, process: client.ClientProcess, started_at: str) -> None:
        with self._held(server_id) as tunnel:
            if tunnel.process:  # an earlier try got as far as this one
                process.close()
                return
            tunnel.adopt(process, started_at)
        log.info("A tunnel of an earlier agent goes on.", server=server_id, pid=process.pid)

    def _forget_record(self, server_id: str) -> None:
        try:
            self._tools.records.forget(server_id)
        except StoreFailed as error:  # a record of nobody does no harm, and a full disk shall not cost the tunnels
            log.warning(error.message, server=server_id, code=error.code)

    def end_strays(self) -> None:
        """End every client below the directory that is not the one known for its server."""
        for server_id, identity in client.find_clients(self._tools.binary, self._directory):
            with self._held(server_id) as tunnel:
                if tunnel.process and tunnel.process.pid == identity.pid:
                    continue
                log.warning("A rathole client that nobody knows is ended.", server=server_id, pid=identity.pid)
                proc.end(identity, grace=_GRACE_OF_STRAYS)

    def wait(self, timeout: float) -> None:
        """Return when there is something to do for `tick`, after `timeout` seconds at most."""
        poll = select.poll()
        poll.register(self._wakeup, select.POLLIN)
        for tunnel in self._all().values():
            process = tunnel.process
            # One in somebody else's hand may have ended: that one's business, and no reason to wake.
            if process and process.pidfd >= 0 and not tunnel.lock.locked():
                poll.register(process.pidfd, select.POLLIN)
            timeout = min(timeout, self._due_in(tunnel))
        poll.poll(max(0.0, timeout) * 1000)
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._wakeup)

    def _due_in(self, tunnel: Tunnel) -> float:
        if tunnel.process is None and tunnel.next_attempt_at is not None:
            return tunnel.next_attempt_at - self._tools.clock()
        return _LOOK_AGAIN if tunnel.status.state in _PASSING else float("inf")

    def _tick_one(self, server_id: str) -> None:
        try:
            with self._held(server_id) as tunnel:
                tunnel.tick()
        except Exception:
            log.exception("One tunnel could not be looked after; the others go on.", server=server_id)

    def _wake(self) -> None:
        os.eventfd_write(self._wakeup, 1)

    def _tunnel(self, server_id: str) -> Tunnel:
        with self._lock:
            if server_id not in self._tunnels:
                self._tunnels[server_id] = Tunnel(server_id, self._directory / server_id, self._tools)
            return self._tunnels[server_id]

    def _all(self) -> dict[str, Tunnel]:
        with self._lock:
            return dict(self._tunnels)

    @contextlib.contextmanager
    def _held(self, server_id: str) -> Iterator[Tunnel]:
        """Have one tunnel in hand; say afterwards whether it changed."""
        tunnel = self._tunnel(server_id)
        with tunnel.lock:
            before = tunnel.status
            try:
                yield tunnel
            finally:
                after = tunnel.status
        if (before.state, before.reason) != (after.state, after.reason):
            self._on_change(server_id)
