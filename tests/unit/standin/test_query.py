"""The stand-in's side of the lightweight query, byte by byte."""

import struct

import pytest

from standin.query import MAX_DATAGRAM, build_response, read_poll

POLL = bytes.fromhex("d5f600010700000000000000 01".replace(" ", ""))
# Computed by hand from the layout in the game's DedicatedServerAPIDocs.md.
ANSWER = bytes.fromhex(
    "d5f6 01 01 0700000000000000 03 ffe00500 0000000000000000 04 001100 010100 030500 020100 0500 54c3ab7374 01"
)


def test_the_answer_is_the_known_one() -> None:
    """State, changelist, sub-states and a name beyond ASCII lie where the game puts them."""
    assert build_response(7, 3, {0: 17, 1: 1, 3: 5, 2: 1}, "Tëst") == ANSWER


def test_a_poll_gives_its_cookie() -> None:
    """The 13 bytes that every client sends are understood."""
    assert read_poll(POLL) == 7


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        POLL[:-1],
        POLL[:-1] + b"\x00",
        POLL + b"\x01",
        b"\x00" + POLL[1:],
        POLL[:2] + b"\x01" + POLL[3:],
        POLL[:3] + b"\x02" + POLL[4:],
    ],
    ids=["empty", "no terminator", "wrong terminator", "too long", "magic", "message type", "version"],
)
def test_anything_else_is_dropped(datagram: bytes) -> None:
    """What is not a poll to the letter gets no answer."""
    assert read_poll(datagram) is None


@pytest.mark.parametrize("name", ["x" * 1000, "ë" * 500, "🏭" * 100])
def test_a_long_name_fits_one_datagram_and_stays_text(name: str) -> None:
    """The answer never passes the protocol's limit, and no character is cut in two."""
    answer = build_response(1, 3, dict.fromkeys(range(4), 1), name)
    assert len(answer) <= MAX_DATAGRAM
    (length,) = struct.unpack_from("<H", answer, 38)
    assert name.startswith(answer[40:-1].decode())
    assert length == len(answer[40:-1])
