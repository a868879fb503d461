"""The lightweight query from the asking side: bytes, hostile datagrams and silent servers."""

import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import GameFailed
from satisfactory.query import GameState, MalformedAnswerError, build_poll, parse, poll

# Computed by hand from the layout in the game's DedicatedServerAPIDocs.md.
HEAD = "d5f6 01 01 0700000000000000 03 ffe00500 0000000000000000"
ANSWER = bytes.fromhex(f"{HEAD} 04 001100 010100 030500 020100 0500 54c3ab7374 01")


def test_the_poll_is_the_known_one() -> None:
    """A poll is 13 bytes, as other clients of the game send them."""
    assert build_poll(0x0505050505050505) == bytes.fromhex("d5f6 00 01 0505050505050505 01")


def test_an_answer_is_read_wholly() -> None:
    """Every field of the known answer comes out."""
    state = parse(ANSWER, 7)
    assert state.state is GameState.PLAYING
    assert state.changelist == 385279
    assert not state.modded
    assert state.sub_states == {0: 17, 1: 1, 3: 5, 2: 1}
    assert state.name == "Tëst"


def test_mods_and_unknown_sub_states_are_taken() -> None:
    """Bit 0 of the flags means mods; a sub-state of a later game does no harm."""
    state = parse(bytes.fromhex("d5f6 01 01 0700000000000000 01 00000000 0300000000000000 01 ff0200 0000 01"), 7)
    assert state.modded
    assert state.sub_states == {255: 2}
    assert (state.state, state.name) == (GameState.IDLE, "")


@pytest.mark.parametrize(
    ("datagram", "cookie"),
    [
        (b"", 7),
        (ANSWER, 8),
        (ANSWER[:-1], 7),
        (ANSWER + b"\x01", 7),
        (ANSWER[:-1] + b"\x00", 7),
        (b"\x00" + ANSWER[1:], 7),
        (ANSWER[:2] + b"\x00" + ANSWER[3:], 7),
        (ANSWER[:3] + b"\x02" + ANSWER[4:], 7),
        (ANSWER[:12] + b"\x09" + ANSWER[13:], 7),
        (ANSWER[:25] + b"\xff" + ANSWER[26:], 7),
        (ANSWER[:38] + b"\xff\xff" + ANSWER[40:], 7),
        (ANSWER[:38] + b"\x04\x00" + ANSWER[40:], 7),
        (ANSWER[:-1] + b"x" * 300 + b"\x01", 7),
    ],
    ids=[
        "empty",
        "another cookie",
        "cut short",
        "one byte more",
        "no terminator",
        "wrong magic",
        "a poll's type",
        "another version",
        "unknown state",
        "too many sub-states",
        "name longer than the datagram",
        "name shorter than the datagram",
        "too large",
    ],
)
def test_anything_else_is_malformed(datagram: bytes, cookie: int) -> None:
    """A datagram whose parts do not add up is refused, not half believed."""
    with pytest.raises(MalformedAnswerError):
        parse(datagram, cookie)


@given(st.binary(max_size=300))
def test_noise_never_breaks_the_parser(noise: bytes) -> None:
    """Any bytes behind a right envelope are an answer or malformed, and nothing else."""
    for datagram in (noise, ANSWER[:12] + noise):
        try:
            parse(datagram, 7)
        except MalformedAnswerError:
            continue


@given(st.integers(min_value=0, max_value=len(ANSWER) - 1))
def test_every_cut_is_noticed(length: int) -> None:
    """No part of an answer passes for a whole one."""
    with pytest.raises(MalformedAnswerError):
        parse(ANSWER[:length], 7)


def test_a_name_cannot_write_to_a_terminal() -> None:
    """Escape sequences, new lines and broken UTF-8 in a name are replaced."""
    name = b"a\x1b[2J\nb\xff"
    head = bytes.fromhex(f"{HEAD} 00")
    state = parse(head + len(name).to_bytes(2, "little") + name + b"\x01", 7)
    assert state.name == "a\ufffd[2J\ufffdb\ufffd"


Reply = Callable[[bytes], list[bytes]]


@pytest.fixture
def serve() -> Iterator[Callable[[Reply], int]]:
    """Return a function that answers one poll with what `reply` makes of it, and gives the port."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.bind(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def answer(reply: Reply) -> None:
        datagram, sender = bound.recvfrom(2048)
        for part in reply(datagram):
            bound.sendto(part, sender)

    def start(reply: Reply) -> int:
        threads.append(threading.Thread(target=answer, args=[reply], daemon=True))
        threads[-1].start()
        return int(bound.getsockname()[1])

    yield start
    for thread in threads:
        thread.join(timeout=5)
    bound.close()


def with_cookie_of(asked: bytes) -> bytes:
    """Return the known answer with the cookie of a poll."""
    return ANSWER[:4] + asked[4:12] + ANSWER[12:]


def test_a_server_that_answers_is_heard(serve: Callable[[Reply], int]) -> None:
    """One poll, one answer."""
    port = serve(lambda asked: [with_cookie_of(asked)])
    assert poll("localhost", port).name == "Tëst"


def test_foreign_datagrams_are_passed_over(serve: Callable[[Reply], int]) -> None:
    """Noise and a late answer to another poll do not hide the true answer behind them."""
    port = serve(lambda asked: [b"", b"noise", ANSWER, with_cookie_of(asked)])
    assert poll("127.0.0.1", port).state is GameState.PLAYING


def test_only_noise_is_silence(serve: Callable[[Reply], int]) -> None:
    """A server that sends other things is reported when the time is over."""
    port = serve(lambda _: [b"noise"])
    with pytest.raises(GameFailed, match=r"gave no answer within 0\.1 s"):
        poll("127.0.0.1", port, timeout=0.1)


def test_a_closed_port_is_said_at_once() -> None:
    """Where nothing listens, nobody waits for the timeout."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(GameFailed, match="Connection refused") as failed:
        poll("127.0.0.1", port, timeout=30)
    assert failed.value.code == "game_unreachable"


def test_a_name_that_does_not_resolve_is_named() -> None:
    """The sentence says that it is the name, not the server."""
    with pytest.raises(GameFailed, match=r"The name game\.invalid does not resolve") as failed:
        poll("game.invalid", 7777)
    assert failed.value.code == "game_not_resolved"
