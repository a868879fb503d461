"""The node's usage in percent."""

from pathlib import Path

import pytest

from core.errors import StoreFailed
from orchestrator.node import CpuTimes, NodeMeter, cpu_times


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def meter(folder: Path, clock: Clock, *times: CpuTimes) -> NodeMeter:
    """Return a meter that reads these counters, one after the other."""
    readings = iter(times)
    return NodeMeter(folder, clock=clock, times=lambda: next(readings))


def test_real_usage_is_numbers(tmp_path: Path) -> None:
    """The three numbers of this machine are percentages, from the first reading on."""
    stats = NodeMeter(tmp_path).read()
    for value in (stats.cpu_usage, stats.memory_usage, stats.disk_usage):
        assert isinstance(value, float)
        assert 0.0 <= value <= 100.0
    assert stats.memory_usage > 0.0


def test_the_kernels_counters_are_read() -> None:
    """Work is a part of all time, and neither is nothing."""
    times = cpu_times()
    assert 0.0 < times.busy < times.total


def test_the_first_reading_is_the_mean_since_boot(tmp_path: Path) -> None:
    """It is not the 0.0 that a first call of psutil gives."""
    assert meter(tmp_path, Clock(), CpuTimes(30.0, 120.0)).read().cpu_usage == 25.0


def test_later_readings_are_means_since_the_one_before(tmp_path: Path) -> None:
    """What was long ago does not count."""
    clock = Clock()
    node = meter(tmp_path, clock, CpuTimes(30.0, 120.0), CpuTimes(35.0, 130.0))
    node.read()
    clock.now += 60
    assert node.read().cpu_usage == 50.0


def test_readings_that_come_together_share_one(tmp_path: Path) -> None:
    """A caller right after another one does not get the noise of a few milliseconds."""
    clock = Clock()
    node = meter(tmp_path, clock, CpuTimes(30.0, 120.0))
    assert node.read().cpu_usage == node.read().cpu_usage == 25.0
    clock.now += 0.9
    assert node.read().cpu_usage == 25.0


@pytest.mark.parametrize(
    ("second", "usage"),
    [(CpuTimes(20.0, 130.0), 0.0), (CpuTimes(60.0, 130.0), 100.0), (CpuTimes(30.0, 120.0), 0.0)],
)
def test_counters_that_run_backwards_give_a_percentage(tmp_path: Path, second: CpuTimes, usage: float) -> None:
    """The orchestrator never gets less than nothing or more than all, nor a division by zero."""
    clock = Clock()
    node = meter(tmp_path, clock, CpuTimes(30.0, 120.0), second)
    node.read()
    clock.now += 60
    assert node.read().cpu_usage == usage


def test_a_disk_that_is_gone_is_said(tmp_path: Path) -> None:
    """A data directory that cannot be looked at is an error in words, not a null."""
    with pytest.raises(StoreFailed, match=r"Cannot look at .*gone: No such file"):
        NodeMeter(tmp_path / "gone").read()
