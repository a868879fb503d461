"""client.log: read on from where we were, rotated under its writer."""

import os
from pathlib import Path

import pytest

from rathole.logfile import LogFile


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a log is to be."""
    return tmp_path / "client.log"


def append(path: Path, text: str) -> None:
    """Write as rathole does: at the end, whatever happened to the file."""
    with path.open("a") as file:
        file.write(text)


def test_each_line_is_given_once_and_whole(path: Path) -> None:
    """A line that is half written waits for its end."""
    log = LogFile(path)
    assert log.new_lines() == []
    append(path, "one\ntw")
    assert log.new_lines() == ["one"]
    append(path, "o\nthree\n")
    assert log.new_lines() == ["two", "three"]
    assert log.new_lines() == []


def test_lines_of_an_earlier_client_are_skipped(path: Path) -> None:
    """A new client's log begins where the old one's ended."""
    append(path, "old\nhalf")
    log = LogFile(path)
    log.skip()
    append(path, "new\n")

    assert log.new_lines() == ["new"]


def test_a_file_that_somebody_emptied_is_read_from_its_start(path: Path) -> None:
    """An operator may empty a log."""
    log = LogFile(path)
    append(path, "a long first line\n")
    log.new_lines()
    os.truncate(path, 0)
    append(path, "next\n")

    assert log.new_lines() == ["next"]


def test_a_large_log_is_copied_aside_and_emptied(path: Path) -> None:
    """The writer keeps its descriptor and goes on at the new end; one old file is kept, private."""
    log = LogFile(path, max_bytes=100)
    with path.open("a") as writer:
        writer.write("x" * 99 + "\n")
        writer.flush()
        assert log.new_lines() == ["x" * 99]

        assert log.rotate() == []
        writer.write("after\n")
        writer.flush()

    assert log.new_lines() == ["after"]
    assert path.read_text() == "after\n"
    rotated = path.with_name("client.log.1")
    assert rotated.read_text() == "x" * 99 + "\n"
    assert rotated.stat().st_mode & 0o777 == 0o600


def test_a_rotation_hands_over_what_was_not_read(path: Path) -> None:
    """Lines between the last look and the rotation are not lost."""
    log = LogFile(path, max_bytes=10)
    append(path, "written meanwhile\n")

    assert log.rotate() == ["written meanwhile"]


def test_a_small_log_is_left(path: Path) -> None:
    """Nothing happens below the limit."""
    append(path, "small\n")

    assert LogFile(path, max_bytes=100).rotate() == []
    assert path.read_text() == "small\n"


def test_a_log_that_cannot_be_copied_is_emptied_all_the_same(path: Path) -> None:
    """On a full disk room is worth more than old lines."""
    path.with_name("client.log.1").mkdir()
    append(path, "x" * 20)

    LogFile(path, max_bytes=10).rotate()

    assert path.stat().st_size == 0


def test_an_adopted_log_is_read_from_its_end(path: Path) -> None:
    """The rotated file's lines come first, then ours; both only as far as they matter."""
    append(path.with_name("client.log.1"), "older\n")
    append(path, "filler\n" * 100_000 + "newest\n")
    log = LogFile(path)

    lines = log.last_lines()

    assert lines[0] == "older"
    assert lines[-1] == "newest"
    assert len(lines) < 50_000
    append(path, "next\n")
    assert log.new_lines() == ["next"]


def test_bytes_that_are_no_text_do_no_harm(path: Path) -> None:
    """A log can hold anything."""
    path.write_bytes(b"\xff\xfe\n")

    assert LogFile(path).new_lines() == ["\ufffd\ufffd"]
