"""Sets the clock back under the agent by as many seconds as a file says, and the engine's with it.

The machine's own clock is not a test's to set. So this process sees an earlier time from when the file was written on,
and the engine's events of later moments carry that time as well, as they would on a host that was set back.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

# Imported before the time is another one: until when it listens, the engine is asked by the machine's own clock.
from compose import engine
from compose.container import Event, event_of
from core import clock

_SET_BACK = Path("/control/clock")
_NS = 10**9
_time_ns = time.time_ns


def _set_back() -> tuple[int, int]:
    """Return by how many nanoseconds the clock was set back, and when, by the machine's own."""
    if not _SET_BACK.exists():
        return 0, 0
    return int(_SET_BACK.read_text()) * _NS, _SET_BACK.stat().st_mtime_ns


def _now_ns() -> int:
    return _time_ns() - _set_back()[0]


def _now() -> float:
    return _now_ns() / _NS


def _event_as_dated(line: Mapping[str, Any]) -> Event:
    event, (back, since) = event_of(line), _set_back()
    return replace(event, time_ns=event.time_ns - back) if event.time_ns >= since else event


class _Datetime(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """Return the time of the clock that was set back."""
        return super().now(tz) - timedelta(seconds=_set_back()[0] // _NS)


time.time_ns, time.time = _now_ns, _now
clock.datetime = _Datetime  # type: ignore[attr-defined]  # of every time that is stored and sent
engine.event_of = _event_as_dated  # type: ignore[attr-defined]
