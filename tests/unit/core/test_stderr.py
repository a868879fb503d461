"""Standard error that nobody waits for: whole lines or none, and what is lost is told."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from core.stderr import Unwaiting

PAGE = 4096  # bytes, the least that a pipe holds
LINE = "x" * 1023 + "\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, Unwaiting]]:
    """Return the end to read from, of a pipe of one page, and what writes to it."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PAGE)
    os.set_blocking(writer, False)
    yield reader, Unwaiting(writer)
    os.close(reader)
    os.close(writer)


def test_what_has_room_is_written_as_it_is(pipe: tuple[int, Unwaiting]) -> None:
    """In order, and nothing besides."""
    reader, stderr = pipe
    assert [stderr.write(text) for text in ("ä\n", "b\n")] == [2, 2]
    assert os.read(reader, PAGE) == "ä\nb\n".encode()


def test_what_has_none_is_counted_and_told(pipe: tuple[int, Unwaiting]) -> None:
    """Once, before the first line that has room again."""
    reader, stderr = pipe
    for _ in range(7):
        stderr.write(LINE)
    assert os.read(reader, 2 * PAGE).decode() == 4 * LINE
    for text in ("later\n", "last\n"):
        stderr.write(text)
    told, *rest = os.read(reader, PAGE).decode().splitlines()
    assert told.endswith("something was lost: 3")
    assert rest == ["later", "last"]


def test_without_a_reader_nothing_is_raised(pipe: tuple[int, Unwaiting]) -> None:
    """Whoever logs has better things to do."""
    reader, stderr = pipe
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, reader)  # closes the only end to read from
    os.close(nothing)
    assert stderr.write(LINE) == len(LINE)


@pytest.mark.parametrize("kind", ["file", "pipe"])
def test_only_a_pipe_is_one(kind: str) -> None:
    """A file has always room, a terminal is somebody's; what a child writes goes where it went."""
    code = """
import subprocess, sys
from core.stderr import Unwaiting, never_wait
never_wait(); never_wait()
print(isinstance(sys.stderr, Unwaiting))
print("ours", file=sys.stderr)
subprocess.run(["sh", "-c", "echo a child >&2"], stderr=sys.stderr, check=True)
"""
    output = subprocess.PIPE if kind == "pipe" else subprocess.DEVNULL
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=output, text=True, check=True)
    assert done.stdout == f"{kind == 'pipe'}\n"
    assert (done.stderr or "ours\na child\n") == "ours\na child\n"
