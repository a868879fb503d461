"""What nobody waits for, beside what a keeper does."""

import threading
from collections.abc import Callable

from core.log import get_logger

log = get_logger("behind")


class Behind:
    """Does one thing at a time, in a thread of its own.

    Args:
        name: what the thread is called.
        done: called after each thing.
    """

    def __init__(self, name: str, done: Callable[[], None]) -> None:
        self._name = name
        self._done = done
        self._busy = threading.Event()

    def is_busy(self) -> bool:
        """Whether the last thing is not done yet."""
        return self._busy.is_set()

    def begin(self, task: Callable[[], None]) -> None:
        """Do a thing; one that comes while another is under way is left to the next pass, which `done` brings about."""
        if self.is_busy():
            return
        self._busy.set()
        threading.Thread(target=self._run, args=(task,), name=self._name, daemon=True).start()

    def _run(self, task: Callable[[], None]) -> None:
        try:
            task()
        except Exception:
            log.exception("What was done behind failed.", thread=self._name)
        self._busy.clear()
        self._done()
