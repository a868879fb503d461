"""Whose stop it was: the agent's own, or somebody's by hand, which is respected until the next start."""

import contextlib
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from compose.container import Event
from compose.engine import Engine
from compose.file import STOP_GRACE_SECONDS
from core.errors import DockerUnavailable, StoreFailed
from core.log import get_logger
from core.servers import ServerTable

log = get_logger("stops")

_NS = 10**9
_LONGEST_STOP_NS = 10 * 60 * _NS
# Docker may tell of a stop a moment after the call that asked for it returned.
_LATE_EVENT_NS = _NS
# Each keeper looks every 15 s and learns of its game's end then, at the latest.
_UNHEARD_NS = 30 * _NS
# Events come in a burst where Docker was away or slow, so those of earlier stops are known, too.
_REMEMBERED_STOPS = 8
# The engine itself remembers 256.
_REMEMBERED_EVENTS = 512
# HUP, USR1 and the like are no wish for an end. Docker names a signal by its number.
_ENDING_SIGNALS = frozenset({"2", "3", "9", "15"})
# Who outlived a signal for so long has not ended by it.
_SIGNAL_COUNTS_NS = (STOP_GRACE_SECONDS + 30) * _NS


@dataclass
class OurStop:
    """One stop of ours; both times in nanoseconds since 1970."""

    began: int
    ended: int


class Stops:
    """Knows it from Docker's events, the only sign that there is: an engine's own stop leaves the same state behind.

    Docker says `kill` then `die` where somebody stops a container, and only `die` where the game ended. It says
    the same where the engine itself is stopped, or somebody removes the container; neither is anybody's wish for
    the game to be stopped. An engine that is stopped takes no new connection before it stops containers, so that
    one which does, with a container that has ended and is not about to be removed or run again, tells of a stop by
    hand. One that was killed ends at its next start what still runs, before it answers (tried with 26.1): whatever is
    dated before it was found back is its own doing.

    Args:
        engine: whose events.
        servers: where a stop by hand is written down.
        clock: the wall clock, in seconds since 1970.
        returned: called when an engine that was away is found back.
    """

    def __init__(
        self, engine: Engine, servers: ServerTable, *, clock: Callable[[], float], returned: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._servers = servers
        self._clock = clock
        self._returned = returned
        self._since_ns = int(clock() * _NS)
        self._ours: defaultdict[str, deque[OurStop]] = defaultdict(lambda: deque(maxlen=_REMEMBERED_STOPS))
        self._signalled: dict[str, int] = {}
        self._taken: deque[tuple[int, str, str]] = deque(maxlen=_REMEMBERED_EVENTS)
        self._lock = threading.Lock()
        self._away = False

    @contextlib.contextmanager
    def ours(self, server_id: str) -> Iterator[OurStop]:
        """Whatever ends this server's container meanwhile, we do."""
        stop = OurStop(began := time.time_ns(), began + _LONGEST_STOP_NS)
        self._ours[server_id].append(stop)
        try:
            yield stop
        finally:
            stop.ended = time.time_ns() + _LATE_EVENT_NS

    def not_ours(self, server_id: str, stop: OurStop) -> None:
        """Nothing of ours was under way in truth."""
        self._ours[server_id].remove(stop)

    def forget(self, server_id: str) -> None:
        """Drop what is known of a server that is gone, once all that we did to it was told."""
        # What happens before Docker's return counts for nothing, and what a full disk does not take is another's.
        with contextlib.suppress(DockerUnavailable, StoreFailed):
            self.catch_up()
        self._ours.pop(server_id, None)

    def follow(self) -> Iterator[Event]:
        """Yield what happens for a while, each event once it was taken in.

        Raises:
            DockerUnavailable: the engine is away.
        """
        with self._noting_absence():
            for event in self._engine.events(self._since()):
                self._take(event)
                self._since_ns = event.time_ns + 1  # not before: who catches up meanwhile waits for what is taken in
                yield event

    def catch_up(self) -> None:
        """Take in what has happened until now, whether it was told yet or not.

        The engine writes the event down before it shows the container as ended. So whoever has seen one that ended,
        and calls this, knows whether somebody stopped it.

        Raises:
            DockerUnavailable: the engine is away.
        """
        with self._noting_absence():
            for event in self._engine.past_events(self._since()):
                self._take(event)

    @contextlib.contextmanager
    def _noting_absence(self) -> Iterator[None]:
        try:
            yield
        except DockerUnavailable:
            self._away = True
            raise

    def _since(self) -> int:
        """From when on events count: the last one, or when the engine was found back after an absence."""
        if self._away:
            self._engine.ping()  # before the clock is read: what it ends until it answers is its own doing
            self._since_ns, self._away = self._now(), False
            self._signalled.clear()
            self._returned()
        # Where the clock was set back, the last event lies ahead of all that has come since, heard or not.
        if self._since_ns > (now := self._now()):
            self._since_ns = now - _UNHEARD_NS
        return self._since_ns

    def _now(self) -> int:
        return int(self._clock() * _NS)

    def _take(self, event: Event) -> None:
        key = (event.time_ns, event.name, event.action)
        with self._lock:
            if event.kind != "container" or key in self._taken:
                return
            if event.action == "kill" and self._is_for_an_end(event):
                self._signalled[event.name] = event.time_ns
            elif event.action == "die":
                at = self._signalled.get(event.name)
                if at is not None and event.time_ns - at <= _SIGNAL_COUNTS_NS:
                    self._ended(event)
            if event.action in {"die", "start"}:
                self._signalled.pop(event.name, None)
            self._taken.append(key)  # last: what a full disk did not let us write down is taken in again

    def _is_for_an_end(self, event: Event) -> bool:
        stops = tuple(self._ours[event.name]) if event.name in self._ours else ()
        ours = any(stop.began <= event.time_ns <= stop.ended for stop in stops)
        return not ours and event.attributes.get("signal", "9") in _ENDING_SIGNALS

    def _ended(self, event: Event) -> None:
        """Ask the engine what came of it; one that does not answer raises, and it was no stop by hand."""
        server = self._servers.get(event.name)
        if server is None or not server.container_wanted or server.deleting:
            return
        self._engine.ping()  # by a connection of its own: old ones are served until the engine has ended
        container = self._engine.container(event.name)
        if container and container.status == "exited":
            log.info("The container was stopped by hand; it stays so until the next start.", server=event.name)
            self._servers.update(event.name, stopped_externally=True)
