"""The lightweight query (UDP, the game port's number): 13 bytes in, the server's state out.

The layout is that of `DedicatedServerAPIDocs.md`, which the game ships with every server.
"""

import logging
import socket
import struct
from collections.abc import Callable, Mapping
from typing import NoReturn

log = logging.getLogger(__name__)

MAGIC = 0xF6D5
POLL, STATE_RESPONSE = 0, 1
PROTOCOL_VERSION = 1
TERMINATOR = 1
CHANGELIST = 385279
MAX_DATAGRAM = 256  # MaxDatagramLengthBytes in the game's headers

_POLL = struct.Struct("<HBBQB")
_HEAD = struct.Struct("<HBBQBIQB")
_SUB_STATE = struct.Struct("<BH")


def read_poll(datagram: bytes) -> int | None:
    """Return the cookie of a poll, None for anything else, which the game drops without a word."""
    if len(datagram) != _POLL.size:
        return None
    *head, cookie, terminator = _POLL.unpack(datagram)
    valid = head == [MAGIC, POLL, PROTOCOL_VERSION] and terminator == TERMINATOR
    return int(cookie) if valid else None


def build_response(cookie: int, state: int, sub_states: Mapping[int, int], name: str) -> bytes:
    """Return the answer to a poll; a name too long for one datagram is cut at a character."""
    flags = 0  # bit 0 would say that the server is modded
    envelope = (MAGIC, STATE_RESPONSE, PROTOCOL_VERSION, cookie)
    head = _HEAD.pack(*envelope, state, CHANGELIST, flags, len(sub_states))
    subs = b"".join(_SUB_STATE.pack(number, version) for number, version in sub_states.items())
    room = MAX_DATAGRAM - len(head) - len(subs) - 3  # two bytes of length, one of terminator
    text = name.encode()[:room].decode(errors="ignore").encode()
    return head + subs + struct.pack("<H", len(text)) + text + bytes([TERMINATOR])


def serve_queries(bound: socket.socket, respond: Callable[[int], bytes]) -> NoReturn:
    """Answer each valid poll with `respond(cookie)`, for ever."""
    while True:
        datagram, sender = bound.recvfrom(2048)
        cookie = read_poll(datagram)
        if cookie is None:
            continue
        try:
            bound.sendto(respond(cookie), sender)
        except OSError as error:  # the sender's network may be gone; the others' is not
            log.warning("Cannot answer a query of %s: %s", sender[0], error.strerror)
