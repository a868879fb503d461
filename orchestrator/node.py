"""How busy this node is."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import psutil

from core.errors import StoreFailed

# Two callers that come together share one reading: over less than this, a percentage is noise.
_SHORTEST_SPAN = 1.0


@dataclass(frozen=True)
class NodeStats:
    """CPU, memory and the data directory's disk in use, in percent from 0 to 100, of the whole machine."""

    cpu_usage: float
    memory_usage: float
    disk_usage: float


class CpuTimes(NamedTuple):
    """CPU seconds of the whole machine since its boot: those of work, and all."""

    busy: float
    total: float


def cpu_times() -> CpuTimes:
    """Read the kernel's counters."""
    times = psutil.cpu_times()
    # The kernel counts a guest's time in `user` and `nice` as well (proc_stat(5)).
    total = sum(times) - times.guest - times.guest_nice
    return CpuTimes(total - times.idle - times.iowait, total)


class NodeMeter:
    """Reads the node's usage without waiting. Safe to use from several threads.

    CPU is the mean since the reading before. The first one is the mean since boot, where
    `psutil.cpu_percent` would say 0.0.

    Args:
        data_dir: a folder on the disk that is measured.
        clock: seconds that only grow.
        times: the kernel's counters.
    """

    def __init__(
        self, data_dir: Path, *, clock: Callable[[], float] = time.monotonic, times: Callable[[], CpuTimes] = cpu_times
    ) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._times = times
        self._lock = threading.Lock()
        self._last = CpuTimes(0.0, 0.0)
        self._cpu_usage = 0.0
        self._due = clock()

    def read(self) -> NodeStats:
        """Return the usage now.

        Raises:
            StoreFailed: the disk of the data directory cannot be looked at.
        """
        try:
            disk = psutil.disk_usage(str(self._data_dir)).percent
        except OSError as error:
            raise StoreFailed("data_dir_unreadable", f"Cannot look at {self._data_dir}: {error.strerror}.") from error
        return NodeStats(self._cpu(), psutil.virtual_memory().percent, disk)

    def _cpu(self) -> float:
        with self._lock:
            now = self._clock()
            if now >= self._due:
                times = self._times()
                self._cpu_usage = _percent(times.busy - self._last.busy, times.total - self._last.total)
                self._last = times
                self._due = now + _SHORTEST_SPAN
            return self._cpu_usage


def _percent(part: float, whole: float) -> float:
    # The kernel's iowait counter can run backwards (proc_stat(5)), so the bounds are not a matter of course.
    return round(min(max(100.0 * part / whole, 0.0), 100.0), 1) if whole > 0 else 0.0
