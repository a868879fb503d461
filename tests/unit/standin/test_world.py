"""The stand-in's world: time, players and saves."""

import os
import time
from pathlib import Path

import pytest

from core.errors import StoreFailed
from standin.world import SAVE_BYTES, State, SubState, World


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the present."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


def test_time_counts_only_once_it_is_played(tmp_path: Path, clock: Clock) -> None:
    """Loading adds nothing; each second of play adds one."""
    world = World(tmp_path, clock=clock)
    clock.now += 5
    assert (world.state, world.duration) == (State.LOADING, 0)
    world.begin()
    clock.now += 3.9
    assert (world.state, world.duration) == (State.PLAYING, 3)


def test_a_restart_goes_on_from_the_newest_save(tmp_path: Path, clock: Clock) -> None:
    """What was saved last counts, whatever its name; what came after it is lost."""
    first = World(tmp_path, clock=clock)
    first.begin()
    clock.now += 10
    os.utime(first.save("b"), ns=(1, 1))
    clock.now += 10
    first.save("a")
    clock.now += 10
    assert World(tmp_path, clock=clock).duration == 20


def test_a_damaged_save_is_passed_over(tmp_path: Path, clock: Clock) -> None:
    """A newest save that is cut off does not cost the one before."""
    world = World(tmp_path, clock=clock)
    world.begin()
    clock.now += 7
    os.utime(world.save("good"), ns=(1, 1))
    (tmp_path / "bad.sav").write_text('{"sess')
    (tmp_path / "odd.sav").write_text("[]")
    assert World(tmp_path, clock=clock).duration == 7


def test_a_save_is_a_file_of_a_saves_size(tmp_path: Path, clock: Clock) -> None:
    """Who judges a save by its size finds a plausible one."""
    path = World(tmp_path, clock=clock).save("agent_stop_2026")
    assert path == tmp_path / "agent_stop_2026.sav"
    assert path.stat().st_size == SAVE_BYTES


def test_a_name_cannot_leave_the_folder(tmp_path: Path, clock: Clock) -> None:
    """A save's name is sanitised, as the game does."""
    world = World(tmp_path / "saves", clock=clock)
    assert world.save("../../etc/passwd") == tmp_path / "saves" / "etcpasswd.sav"
    with pytest.raises(ValueError, match="no name for a save"):
        world.save("../..")


def test_a_save_that_cannot_be_written_is_said(tmp_path: Path, clock: Clock) -> None:
    """A folder that is gone makes the save fail, not succeed in silence."""
    world = World(tmp_path / "saves", clock=clock)
    (tmp_path / "saves").rmdir()
    with pytest.raises(StoreFailed):
        world.save("x")
    assert world.versions[SubState.SAVES] == 1


def test_sub_states_move_with_what_they_stand_for(tmp_path: Path, clock: Clock) -> None:
    """A player moves the game state, a save the save list, and neither moves the rest."""
    world = World(tmp_path, clock=clock)
    world.join()
    world.leave()
    world.save("x")
    assert world.versions == {0: 3, 1: 1, 2: 1, 3: 2}
    assert world.players == 0


def test_a_version_begins_again_after_its_16_bits(tmp_path: Path, clock: Clock) -> None:
    """The counter fits its field for ever."""
    world = World(tmp_path, clock=clock)
    for _ in range(32768):
        world.join()
        world.leave()
    assert world.versions[SubState.GAME_STATE] == 1


def test_a_stand_in_told_to_fail_saves_nothing(tmp_path: Path) -> None:
    """The failure is one in words, and no file is made."""
    world = World(tmp_path, save_fails=True)
    with pytest.raises(StoreFailed, match="STANDIN_SAVE_FAILS"):
        world.save("agent_stop")
    assert list(tmp_path.iterdir()) == []


def test_what_is_played_while_it_saves_is_in_the_save(tmp_path: Path, clock: Clock) -> None:
    """A slow save is of the moment at which it is done."""
    began = time.monotonic()
    world = World(tmp_path, clock=clock, save_seconds=0.2)
    world.save("slow")
    assert time.monotonic() - began >= 0.2
