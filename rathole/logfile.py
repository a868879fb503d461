"""client.log: written by rathole, read and rotated by us."""

import contextlib
import os
from pathlib import Path

from core.rotation import copy_aside, rotated

MAX_BYTES = 10 * 1024 * 1024  # a client whose VPS is away writes 39 MB a day (measured)
_TAIL_BYTES = 256 * 1024


class LogFile:
    """One client.log, read to its end again and again.

    Args:
        path: the file; it may not be there yet.
        max_bytes: the size from which on it is rotated to `<path>.1`.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._offset = 0
        self._rest = b""

    def skip(self) -> None:
        """Read from the present end on: what stands before belongs to an earlier client."""
        self._offset, self._rest = self._size(), b""

    def new_lines(self) -> list[str]:
        """Return the whole lines that were written since the last call."""
        if self._size() < self._offset:  # somebody emptied it
            self._offset, self._rest = 0, b""
        data = self._rest + self._read_from(self._offset)
        self._offset += len(data) - len(self._rest)
        *lines, self._rest = data.split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def last_lines(self) -> list[str]:
        """Return the end of what was written so far, the rotated file's too, and go on from there."""
        self._offset = max(0, self._size() - _TAIL_BYTES)
        lines = self.new_lines()
        older = LogFile(rotated(self.path))
        older._offset = max(0, older._size() - _TAIL_BYTES)
        return older.new_lines() + lines

    def rotate(self) -> list[str]:
        """Copy a file that is too large aside and empty it; return the lines that came meanwhile.

        A line of the microseconds between the last look and the emptying is lost.
        """
        if self._size() < self._max_bytes:
            return []
        copy_aside(self.path)
        lines = self.new_lines()
        os.truncate(self.path, 0)
        self._offset, self._rest = 0, b""
        return lines

    def _size(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            return self.path.stat().st_size
        return 0

    def _read_from(self, offset: int) -> bytes:
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as file:
            file.seek(offset)
            return file.read()
        return b""
