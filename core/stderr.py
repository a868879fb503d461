"""Standard error that nobody is made to wait for.

What a container says goes through a pipe that dockerd alone empties. With live-restore a container outlives dockerd;
once the pipe is full, whoever writes to it waits until dockerd is back (Docker, "Live restore"; tried with 26.1: after
some 500 lines the agent answered nobody any more).
"""

import io
import os
import stat
import sys
import threading

_STDERR = 2
_ATOMIC = 4096  # bytes: Linux writes so many whole, or not at all (PIPE_BUF)


class Unwaiting(io.TextIOBase):
    """Writes to a pipe what there is room for, and says later how much there was none for.

    Args:
        descriptor: the end to write to, opened so that it never blocks.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lost = 0
        self._lock = threading.Lock()

    def fileno(self) -> int:
        """Return what a child process gets: it may wait."""
        return _STDERR

    def writable(self) -> bool:
        """Whether it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Write a text whole, or count it as lost."""
        with self._lock:
            if self._lost and self._put(
                f"Nobody read this log for a while; so often something was lost: {self._lost}\n"
            ):
                self._lost = 0
            if self._lost or not self._put(text):
                self._lost += 1
        return len(text)

    def _put(self, text: str) -> bool:
        data = text.encode(errors="backslashreplace")
        try:
            return all(
                os.write(self._descriptor, part) == len(part)
                for part in (data[at : at + _ATOMIC] for at in range(0, len(data), _ATOMIC))
            )
        except OSError:  # there is no room, or no reader any more
            return False


def never_wait() -> None:
    """Let this process, and those forked from it, wait for no reader of its standard error, if that is a pipe."""
    if isinstance(sys.stderr, Unwaiting) or not stat.S_ISFIFO(os.fstat(_STDERR).st_mode):
        return
    try:
        # Opened anew: a flag of the descriptor that is there would count for all who share it.
        descriptor = os.open(f"/proc/self/fd/{_STDERR}", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # somebody else's pipe: then it is as ever
        return
    sys.stderr = Unwaiting(descriptor)
