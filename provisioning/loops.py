"""Eternal threads that never die silently."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.backoff import Backoff
from core.errors import AgentError
from core.log import get_logger

log = get_logger("loops")

# A loop whose last pass is older than this is not well.
_STALE_SECONDS = 60.0


@dataclass(frozen=True)
class LoopHealth:
    """How a loop is.

    Attributes:
        exists: it was started.
        alive: its thread runs and its last pass is recent.
        id: the thread's number, None where it was not started.
        age: seconds since its last pass ended.
    """

    exists: bool
    alive: bool
    id: int | None
    age: float


class Loop:
    """A thread that runs a step for ever; one that raises is logged, counted and tried again with backoff.

    Args:
        name: what it is called in the log and in the health report.
        step: one pass; returns the seconds until the next.
        wake: set by whoever wants the next pass now.
        longest_pause: the limit of the backoff, in seconds.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], float],
        wake: threading.Event | None = None,
        *,
        longest_pause: float = 60.0,
    ) -> None:
        self.name = name
        self.failures = 0
        self._step = step
        self._wake = wake or threading.Event()
        self._stopping = False
        self._backoff = Backoff(first=1.0, limit=longest_pause)
        self._last_pass = time.monotonic()
        self._due_in = 0.0
        self._fault: str | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Ask it to end and wait for the pass under way, up to `timeout` seconds."""
        self._stopping = True
        self._wake.set()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def wake(self) -> None:
        """Let the next pass begin now."""
        self._wake.set()

    def health(self) -> LoopHealth:
        """Tell how it is."""
        thread = self._thread
        age = time.monotonic() - self._last_pass
        alive = thread is not None and thread.is_alive() and age < self._due_in + _STALE_SECONDS
        return LoopHealth(thread is not None, alive, thread.ident if thread else None, age)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            self._due_in = self._guarded_step()
            self._last_pass = time.monotonic()
            self._wake.wait(self._due_in)

    def _guarded_step(self) -> float:
        try:
            delay = self._step()
        except AgentError as error:
            if error.code != self._fault:
                log.warning(error.message, loop=self.name, code=error.code)
            self._fault = error.code
        except Exception:
            log.exception("A loop failed and goes on.", loop=self.name, failures=self.failures + 1)
        else:
            self._backoff.reset()
            self._fault = None
            return delay
        self.failures += 1
        return self._backoff.next_delay()
