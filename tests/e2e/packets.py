"""A player of each protocol: numbers go out at a fixed rate, and come back through a server's tunnel.

    python -m tests.e2e.packets GAME_PORT MESSAGING_PORT RATE

A process of its own, so that what holds up a test holds up no packet. Each 0.1 s it prints a line of JSON with what was
sent and answered so far, and in how many seconds it was sent; once its stdin is closed it sends no more, gives what is
under way 3 s to come back, and ends.
"""

import contextlib
import json
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator

from satisfactory.query import build_poll

_HOST = "127.0.0.1"
# After a hold-up so many go out at once, and the rest of what was due never: no player makes up for lost time.
_BURST = 10
_RECEIVE_BUFFER = 4 << 20
_REPORT_SECONDS = 0.1
_LAST_SECONDS = 3.0
_NUMBER = struct.Struct("<Q")
_COOKIE_AT = 4  # in an answer to the lightweight query


class _Stream:
    """One player's socket."""

    kind: socket.SocketKind

    def __init__(self, port: int) -> None:
        self.sent = 0
        self.answered: set[int] = set()
        self.socket = socket.socket(socket.AF_INET, self.kind)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self.socket.connect((_HOST, port))

    def send(self, count: int) -> None:
        """Send the next `count` numbers."""
        for number in range(self.sent, self.sent + count):
            self.socket.sendall(self._packet(number))
        self.sent += count

    def receive(self) -> None:
        """Note every answer that is there."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.answered.update(self._numbers(self.socket.recv(65536, socket.MSG_DONTWAIT)))

    def _packet(self, number: int) -> bytes:
        raise NotImplementedError

    def _numbers(self, data: bytes) -> Iterator[int]:
        raise NotImplementedError


class _Udp(_Stream):
    """The lightweight query, whose answer holds the number that was sent."""

    kind = socket.SOCK_DGRAM

    def _packet(self, number: int) -> bytes:
        return build_poll(number)

    def _numbers(self, data: bytes) -> Iterator[int]:
        yield _NUMBER.unpack_from(data, _COOKIE_AT)[0]


class _Tcp(_Stream):
    """The messaging port, which the stand-in echoes."""

    kind = socket.SOCK_STREAM
    _rest = b""

    def _packet(self, number: int) -> bytes:
        return _NUMBER.pack(number)

    def _numbers(self, data: bytes) -> Iterator[int]:
        if not data:
            raise ConnectionResetError("the tunnel closed the connection")
        data = self._rest + data
        whole = len(data) - len(data) % _NUMBER.size
        self._rest = data[whole:]
        yield from (number for (number,) in _NUMBER.iter_unpack(data[:whole]))


class Players:
    """Both streams, driven by one thread."""

    def __init__(self, game_port: int, messaging_port: int, rate: int) -> None:
        self._streams = {"udp": _Udp(game_port), "tcp": _Tcp(messaging_port)}
        self._rate = rate
        self._seconds = 0.0
        self._poll = select.poll()
        for stream in self._streams.values():
            self._poll.register(stream.socket, select.POLLIN)

    def play(self) -> None:
        """Send until stdin is closed, then wait for the last answers."""
        self._poll.register(sys.stdin, select.POLLIN)
        began = due_at = report_at = time.monotonic()
        while not self._is_told_to_stop(due_at - time.monotonic()):
            now = time.monotonic()
            due = min(_BURST, int((now - due_at) * self._rate + 1))
            for stream in self._streams.values():
                stream.send(due)
            due_at = max(due_at + due / self._rate, now)
            self._seconds = now - began
            if time.monotonic() >= report_at:
                report_at += _REPORT_SECONDS
                self._report()
        self._poll.unregister(sys.stdin)
        self._await_the_last()
        self._report()

    def _is_told_to_stop(self, seconds: float) -> bool:
        """Receive what comes within `seconds`; anything at stdin, its end too, is the word to stop."""
        ready = self._poll.poll(max(0.0, seconds) * 1000)
        for stream in self._streams.values():
            stream.receive()
        return any(descriptor == sys.stdin.fileno() for descriptor, _ in ready)

    def _await_the_last(self) -> None:
        deadline = time.monotonic() + _LAST_SECONDS
        while time.monotonic() < deadline and any(len(s.answered) < s.sent for s in self._streams.values()):
            self._poll.poll(_REPORT_SECONDS * 1000)
            for stream in self._streams.values():
                stream.receive()

    def _report(self) -> None:
        counts = {name: {"sent": s.sent, "answered": len(s.answered)} for name, s in self._streams.items()}
        print(json.dumps({"seconds": self._seconds, "counts": counts}), flush=True)  # noqa: T201 - what its caller reads


if __name__ == "__main__":
    Players(*map(int, sys.argv[1:])).play()
