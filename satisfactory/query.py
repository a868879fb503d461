"""The lightweight query: one UDP datagram asks a server for its state, one answers.

The layout is that of `DedicatedServerAPIDocs.md`, which the game ships with every server. It is answered
whenever the process runs but in start-up; while a map loads it is the only thing that answers.
"""

import contextlib
import secrets
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum

from core.errors import GameFailed

MAGIC = 0xF6D5
PROTOCOL_VERSION = 1
TERMINATOR = 1
MAX_DATAGRAM = 256  # MaxDatagramLengthBytes in the game's headers

_POLL = struct.Struct("<HBBQB")
_HEAD = struct.Struct("<HBBQBIQB")
_SUB_STATE = struct.Struct("<BH")
_LENGTH = struct.Struct("<H")


class GameState(IntEnum):
    """What a server does; `OFFLINE` is in the protocol, but no server sends it."""

    OFFLINE = 0
    IDLE = 1
    LOADING = 2
    PLAYING = 3


@dataclass(frozen=True)
class ServerState:
    """One answer.

    Attributes:
        state: what the server does.
        changelist: the build; a client must have the same to join.
        modded: the server runs mods, and a client without them is refused.
        sub_states: version by number; one that changed says that its part is worth asking for by HTTPS.
        name: as the owner set it; what cannot be printed is replaced.
    """

    state: GameState
    changelist: int
    modded: bool
    sub_states: Mapping[int, int]
    name: str


class MalformedAnswerError(ValueError):
    """A datagram that is not the answer to our poll."""


def build_poll(cookie: int) -> bytes:
    """Return the datagram that asks for the state; `cookie` (64 bits) comes back in the answer."""
    return _POLL.pack(MAGIC, 0, PROTOCOL_VERSION, cookie, TERMINATOR)


def parse(datagram: bytes, cookie: int) -> ServerState:
    """Read an answer, of which every byte must be accounted for.

    Raises:
        MalformedAnswerError: not an answer, not to this cookie, or its lengths do not add up.
    """
    if len(datagram) > MAX_DATAGRAM:
        raise MalformedAnswerError(f"{len(datagram)} bytes are more than the protocol allows.")
    try:
        return _parse(datagram, cookie)
    except struct.error as error:
        raise MalformedAnswerError("The datagram is cut short.") from error


def _parse(datagram: bytes, cookie: int) -> ServerState:
    *envelope, state, changelist, flags, count = _HEAD.unpack_from(datagram)
    if envelope != [MAGIC, 1, PROTOCOL_VERSION, cookie]:
        raise MalformedAnswerError("The datagram is not an answer to this poll.")
    names = _HEAD.size + count * _SUB_STATE.size
    (length,) = _LENGTH.unpack_from(datagram, names)
    name, end = datagram[names + _LENGTH.size : -1], datagram[-1]
    if len(name) != length or end != TERMINATOR:
        raise MalformedAnswerError("The datagram's lengths do not add up.")
    if state not in list(GameState):
        raise MalformedAnswerError(f"The state {state} is unknown.")
    sub_states = dict(_SUB_STATE.iter_unpack(datagram[_HEAD.size : names]))
    return ServerState(GameState(state), changelist, bool(flags & 1), sub_states, _printable(name))


def _printable(name: bytes) -> str:
    # The name goes into logs, answers and terminals, and is the choice of whoever runs the game.
    text = name.decode(errors="replace")
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def poll(host: str, port: int, *, timeout: float = 2.0, clock: Callable[[], float] = time.monotonic) -> ServerState:
    """Ask once and wait for the answer; datagrams that are not the answer are passed over.

    Args:
        host: a name or an address; resolving a name is not part of the timeout.
        port: the game port.
        timeout: seconds to wait; one lost datagram is reported like a silent server.
        clock: seconds on a clock that never goes back.

    Raises:
        GameFailed: the name does not resolve, nothing listens, or no answer came in time.
    """
    cookie = secrets.randbits(64)
    with _connect(host, port) as connected:
        try:
            connected.send(build_poll(cookie))
            return _await_answer(connected, cookie, clock, clock() + timeout)
        except TimeoutError:
            raise GameFailed("game_silent", f"{host}:{port}/udp gave no answer within {timeout:g} s.") from None
        except OSError as error:
            raise GameFailed("game_unreachable", f"{host}:{port}/udp: {error.strerror}.") from error


def _connect(host: str, port: int) -> socket.socket:
    """Return a UDP socket that hears this peer alone, and learns when its port is closed."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    except OSError as error:
        raise GameFailed("game_not_resolved", f"The name {host} does not resolve: {error.strerror}.") from error
    connected = socket.socket(family, kind)
    try:
        connected.connect(address)
    except OSError as error:
        connected.close()
        raise GameFailed("game_unreachable", f"{host}:{port}/udp: {error.strerror}.") from error
    return connected


def _await_answer(connected: socket.socket, cookie: int, clock: Callable[[], float], deadline: float) -> ServerState:
    while (left := deadline - clock()) > 0:
        connected.settimeout(left)
        datagram = connected.recv(MAX_DATAGRAM + 1)
        # A late answer to an earlier poll, or a forged one: the true one may still come.
        with contextlib.suppress(MalformedAnswerError):
            return parse(datagram, cookie)
    raise TimeoutError
