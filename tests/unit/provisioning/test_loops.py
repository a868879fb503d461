"""Threads that never die silently, and tasks side by side."""

import threading

import pytest
from structlog.testing import capture_logs

from core.errors import ComposeFailed, StoreFailed
from provisioning.loops import Loop
from provisioning.together import run_together
from tests.waiting import wait_until


def test_a_loop_goes_on_after_whatever_is_raised() -> None:
    """It is counted and said: an error of ours once, anything else with its cause."""
    outcomes: list[Exception | float] = [StoreFailed("store_failed", "Full."), StoreFailed("store_failed", "Full.")]
    outcomes += [TypeError("a fault of ours"), 100.0]
    loop = Loop("test", lambda: outcome(outcomes))
    with capture_logs() as lines:
        loop.start()
        wait_until(lambda: loop.wake() or not outcomes, within=5, saying="all passes were made")
        loop.stop(5)
    assert loop.failures == 3
    assert [line.get("code", line["log_level"]) for line in lines] == ["store_failed", "error"]


def outcome(outcomes: list[Exception | float]) -> float:
    """Return or raise the next of these."""
    if not outcomes:
        return 100.0
    first = outcomes.pop(0)
    if isinstance(first, Exception):
        raise first
    return first


def test_health_tells_whether_a_loop_lives() -> None:
    """Not before it was started, and not once it has ended."""
    loop = Loop("test", lambda: 100.0)
    assert not loop.health().exists
    assert loop.health().id is None
    loop.start()
    assert loop.health().alive
    loop.stop(5)
    assert not loop.health().alive


def test_a_step_that_hangs_is_not_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its thread lives, and yet nothing is done: the age of its last pass shows it."""
    gate = threading.Event()
    loop = Loop("test", lambda: float(gate.wait(10)))
    loop.start()
    monkeypatch.setattr("provisioning.loops._STALE_SECONDS", -1.0)
    assert not loop.health().alive
    gate.set()
    loop.stop(5)


def test_tasks_are_run_side_by_side_to_their_end() -> None:
    """Each waits for the other; the first error in the list is raised when all have ended, in daemons' threads."""
    barrier = threading.Barrier(3, timeout=5)
    ended: list[bool] = []

    def good() -> None:
        barrier.wait()
        ended.append(threading.current_thread().daemon)

    def bad() -> None:
        barrier.wait()
        raise ComposeFailed("no_space", "Full.")

    with pytest.raises(ComposeFailed):
        run_together([good, bad, good])
    assert ended == [True, True]
