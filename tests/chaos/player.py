"""A player who never leaves: one UDP socket, fifty numbered packets a second, over every fault."""

import contextlib
import socket
import struct
import threading

from satisfactory.query import build_poll
from tests.waiting import wait_until

RATE = 50  # packets a second
_GRACE = 1.0  # seconds that a packet may be under way
_RECENT = range(3, 13)  # of the last packets; those before may still be under way
_NUMBER = struct.Struct("<Q")
_COOKIE_AT = 4  # in an answer to the lightweight query
_ANSWER = _COOKIE_AT + _NUMBER.size


class Player:
    """Counts which of his packets the game answered.

    Args:
        port: the public game port.
    """

    def __init__(self, port: int) -> None:
        self.sent = 0
        self._counted = 0
        self._answered: set[int] = set()
        self._left = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(0.25)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]

    def join(self) -> None:
        """Begin to play."""
        for thread in self._threads:
            thread.start()

    def leave(self) -> None:
        """End it."""
        self._left.set()
        for thread in self._threads:
            thread.join()
        self._socket.close()

    def is_served(self) -> bool:
        """Whether the game answers him now."""
        return any(self.sent - back in self._answered for back in _RECENT)

    def count_lost(self) -> int:
        """Return how many packets since the last count nobody answered."""
        due = range(self._counted, self.sent)
        self._counted = self.sent
        with contextlib.suppress(AssertionError):
            wait_until(lambda: self._answered.issuperset(due), within=_GRACE, saying="the last are answered")
        lost = len(set(due) - self._answered)
        self._answered.difference_update(due)
        return lost

    def _send(self) -> None:
        while not self._left.wait(1 / RATE):
            with contextlib.suppress(OSError):  # nobody listens; then it is lost
                self._socket.send(build_poll(self.sent))
            self.sent += 1

    def _receive(self) -> None:
        while not self._left.is_set():
            with contextlib.suppress(OSError):  # a timeout, or the word that nobody listened
                answer = self._socket.recv(512)
                if len(answer) >= _ANSWER:
                    self._answered.add(_NUMBER.unpack_from(answer, _COOKIE_AT)[0])
