"""One owner of the data directory: whoever else comes waits, and says for whom."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Callable
from pathlib import Path

from core.clock import utc_now
from core.files import PRIVATE_FILE, make_private_directory
from core.log import get_logger

log = get_logger("ownership")


class DataLock:
    """The lock on the data directory, held until the process ends; the kernel frees it after any death.

    Args:
        path: the lock file.
    """

    def __init__(self, path: Path) -> None:
        make_private_directory(path.parent)
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_FILE)

    def acquire(self, keep_waiting: Callable[[], bool]) -> bool:
        """Wait until this process owns the directory.

        Args:
            keep_waiting: pauses for a moment and tells whether to go on; also the place to say that we are alive.

        Returns:
            False when it was given up.
        """
        said = False
        while not self._try():
            if not said:
                log.warning(
                    "Another process owns the data directory; this one waits for its end.",
                    lock=str(self._path),
                    owner=self._path.read_text().strip(),
                )
                said = True
            if not keep_waiting():
                return False
        self._note_owner()
        return True

    def _note_owner(self) -> None:
        """Say who owns it, where there is room: it is a note for people, and the agent starts on a full disk too."""
        note = f"pid {os.getpid()} on {socket.gethostname()} since {utc_now()}\n"
        with contextlib.suppress(OSError):
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, note.encode(), 0)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
