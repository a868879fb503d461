"""Waiting for a condition, the only way a test here waits."""

import time
from collections.abc import Callable
from typing import TypeVar

import psutil

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, within: float, saying: str, every: float = 0.02) -> T:
    """Return the first truthy value of `condition`; fail with `saying` after `within` seconds.

    An exception of `condition` counts as "not yet"; the last one is named in the failure.
    """
    deadline = time.monotonic() + within
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            value = condition()
        except Exception as error:  # noqa: BLE001 - whatever is not up yet may raise anything
            last = error
        else:
            last = None
            if value:
                return value
        time.sleep(every)
    raise AssertionError(f"not within {within} s: {saying}" + (f" (last error: {last!r})" if last else ""))


def is_gone(process: psutil.Process) -> bool:
    """Whether a process has ended; whoever inherits it may take its time to say so to the kernel."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
