"""Traffic at a fixed rate through a server's tunnel: every packet has a number, so every lost one is missed."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from docker.models.containers import Container

from core.log import get_logger
from satisfactory.query import build_poll
from tests.e2e.deployment import Deployment
from tests.e2e.game import Game
from tests.waiting import wait_until

RATE = 1000  # packets a second, of each protocol
# A sender that was held up makes good so many at once: more would fill buffers that no player fills.
_BURST = 20
_RECEIVE_BUFFER = 4 << 20
_NUMBER = struct.Struct("<Q")
_COOKIE_AT = 4  # in an answer to the lightweight query

log = get_logger("traffic")


class _Stream:
    """One player's socket: numbers go out at a fixed rate, and come back."""

    kind: socket.SocketKind

    def __init__(self, port: int) -> None:
        self.sent = 0
        self.answered: set[int] = set()
        self._done = threading.Event()
        self._socket = socket.socket(socket.AF_INET, self.kind)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(0.5)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)]

    @property
    def lost(self) -> int:
        """How many packets were not answered."""
        return self.sent - len(self.answered)

    def start(self) -> None:
        """Begin to send."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more, give what is under way 3 s to come back, and part."""
        self._done.set()
        self._threads[0].join()
        self._threads[1].join()
        self._socket.close()

    def _send(self) -> None:
        began = time.monotonic()
        while not self._done.wait(1 / RATE):
            due = int((time.monotonic() - began) * RATE)
            for number in range(self.sent, min(due, self.sent + _BURST)):
                self._socket.sendall(self._packet(number))
                self.sent = number + 1

    def _receive(self) -> None:
        silent = 0
        while silent < 6 and not (self._done.is_set() and self.lost == 0):
            try:
                self.answered.update(self._numbers(self._socket.recv(65536)))
            except TimeoutError:
                silent += self._done.is_set()

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


class Traffic:
    """A player of each protocol, at `RATE` packets a second each."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self._streams: list[_Stream] = [_Udp(game.game_port), _Tcp(game.beacon_port)]
        self._drops_before = self._drops()

    def __enter__(self) -> Self:
        for stream in self._streams:
            stream.start()
        self.go_on(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in self._streams:
            stream.stop()

    def go_on(self, seconds: float) -> None:
        """Wait until so many seconds' packets more were answered."""
        for stream in self._streams:
            goal = len(stream.answered) + seconds * RATE
            wait_until(
                lambda stream=stream, goal=goal: len(stream.answered) >= goal,
                within=10 * seconds + 10,
                saying=f"{seconds} s of {type(stream).__name__[1:]} traffic are answered",
            )

    def assert_nothing_lost(self, what: str) -> None:
        """Every packet sent was answered, but for those that a kernel on the way says it had no room for.

        That happens where a machine is so busy that a process is not run for a quarter of a second: then 277 small
        datagrams fill the 208 KiB that Linux gives a socket by default. Each such is counted, and nothing else is lost.
        """
        udp, tcp = self._streams
        drops = {name: count - self._drops_before[name] for name, count in self._drops().items()}
        log.info(what, udp=udp.sent, udp_lost=udp.lost, tcp=tcp.sent, tcp_lost=tcp.lost, no_room=sum(drops.values()))
        assert (max(0, udp.lost - sum(drops.values())), tcp.lost) == (0, 0), (
            f"{what}: {udp.lost} lost, no room: {drops}"
        )

    def _drops(self) -> dict[str, int]:
        """Return the RcvbufErrors of every network that the packets pass."""
        deployment = self._game.deployment
        found = {"host": _rcvbuf_errors(Path("/proc/net/snmp").read_text())}
        for container in (deployment.edge, deployment.agent, self._game.container):
            found[container.name or ""] = _rcvbuf_errors(_snmp(container))
        return found


def _snmp(container: Container) -> str:
    text: str = container.exec_run(["cat", "/proc/net/snmp"]).output.decode()
    return text


def _rcvbuf_errors(snmp: str) -> int:
    names, values = (line.split() for line in snmp.splitlines() if line.startswith("Udp:"))
    return int(values[names.index("RcvbufErrors")])


class Pulse:
    """Asks the API again and again, and notes the longest time that it did not answer."""

    def __init__(self, deployment: Deployment) -> None:
        self.longest_silence = 0.0
        self._deployment = deployment
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _ask(self) -> None:
        last = time.monotonic()
        while not self._done.wait(0.05):
            if self._answers():
                now = time.monotonic()
                self.longest_silence = max(self.longest_silence, now - last)
                last = now

    def _answers(self) -> bool:
        try:
            return self._deployment.answers()
        except OSError:  # requests' own errors are such
            return False
