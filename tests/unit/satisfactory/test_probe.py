"""The probe: patience, lines and the exit code."""

import socket
import threading
from collections.abc import Iterator

import pytest

from core.errors import GameFailed
from satisfactory import probe
from satisfactory.probe import Finding, Way, try_way


class Time:
    """A clock that moves by the pauses taken on it."""

    def __init__(self) -> None:
        self.now = 0.0

    def clock(self) -> float:
        """Return the present, in seconds."""
        return self.now

    def pause(self, seconds: float) -> None:
        """Let seconds pass."""
        self.now += seconds


def way_that_fails(times: int) -> tuple[Way, list[str]]:
    """Return a way that is answered after so many failures, and the list of what was asked."""
    asked: list[str] = []

    def ask() -> str:
        asked.append("?")
        if len(asked) <= times:
            raise GameFailed("game_silent", "Nothing came.")
        return "here I am"

    return Way("udp", "game.example", 30000, ask), asked


def find(way: Way, within: float) -> Finding:
    """Try a way on a clock of its own."""
    time = Time()
    return try_way(way, within, clock=time.clock, pause=time.pause)


def test_an_answer_is_one_line() -> None:
    """The line names the way, the place, the time and what was said."""
    way, _ = way_that_fails(0)
    assert find(way, 30) == Finding("udp   game.example:30000  answered in 0 ms: here I am", answered=True)


def test_a_server_that_starts_is_waited_for() -> None:
    """Failures are tried again while there is time."""
    way, asked = way_that_fails(20)
    assert find(way, 30).answered
    assert len(asked) == 21


def test_silence_ends_with_the_last_reason() -> None:
    """When the time is over the line says why, and nobody asks any more."""
    way, asked = way_that_fails(1000)
    finding = find(way, 2)
    assert finding.line == "udp   game.example:30000  no answer within 2 s: Nothing came."
    assert not finding.answered
    assert 7 <= len(asked) <= 9


def test_without_any_time_it_asks_once() -> None:
    """Nobody waits, but the question is put."""
    way, asked = way_that_fails(0)
    assert find(way, 0).answered
    assert len(asked) == 1


@pytest.fixture
def closing_port() -> Iterator[int]:
    """Return a TCP port that takes a connection, reads, and closes without a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def close_each() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1024)

        threading.Thread(target=close_each, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_a_tunnel_that_leads_nowhere_is_no_answer(closing_port: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A tunnel takes a connection before it knows its game; only bytes that come back count."""
    code = probe.main(["127.0.0.1", str(closing_port), str(closing_port), "--within", "0"])
    lines = capsys.readouterr().out.splitlines()
    assert code == 1
    assert [line.split()[0] for line in lines] == ["udp", "https", "tcp"]
    assert all("no answer within 0 s" in line for line in lines)
    assert "closed before it sent back what it got" in lines[2]


def test_a_host_without_address_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped host is named in each line, and the exit code says failed."""
    assert probe.main(["game.invalid", "7777", "8888", "--within", "0"]) == 1
    assert capsys.readouterr().out.count("game.invalid") >= 3


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http"])
def test_a_wrong_port_is_refused(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A port that cannot be one is named, with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        probe.main(["localhost", port, "8888"])
    assert ended.value.code == 2
    assert "game_port" in capsys.readouterr().err
