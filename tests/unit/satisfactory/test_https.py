"""The HTTPS API's client: what answers mean, and servers that are none."""

import socket
import threading
from collections.abc import Iterator

import pytest

from core.errors import GameFailed
from satisfactory.https import GameApi, build_call, read_answer


def test_a_call_is_the_games_envelope() -> None:
    """Function and data are JSON under the names of the API."""
    body = build_call("HealthCheck", {"clientCustomData": ""})
    assert body == b'{"function": "HealthCheck", "data": {"clientCustomData": ""}}'


def test_data_comes_out_of_its_envelope() -> None:
    """The caller gets what is in `data`, and nothing for a 204."""
    assert read_answer(200, b'{"data": {"health": "slow"}}') == {"health": "slow"}
    assert read_answer(204, b"") == {}


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500])
def test_a_refusal_is_one_with_every_status(status: int) -> None:
    """An errorCode counts even in an answer that HTTP calls fine."""
    with pytest.raises(GameFailed, match="'wrong_password': 'no'") as failed:
        read_answer(status, b'{"errorCode": "wrong_password", "errorMessage": "no"}')
    assert failed.value.details == {"status": status, "errorCode": "wrong_password"}


def test_a_refusal_without_a_message_is_a_sentence_too() -> None:
    """The live server sends empty messages."""
    with pytest.raises(GameFailed, match=r"refused with 'server_claimed'\.$"):
        read_answer(200, b'{"errorCode": "server_claimed", "errorMessage": ""}')


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"data": 3}'),
        (502, b'{"data": {}}'),
        (200, b"\xff\xfe"),
        (200, b"[" * 100_000),
    ],
)
def test_what_no_game_says_is_named_as_such(status: int, body: bytes) -> None:
    """HTML, half JSON and other shapes are an error in words, not a crash."""
    with pytest.raises(GameFailed) as failed:
        read_answer(status, body)
    assert failed.value.code == "game_answer_unknown"


def test_a_refusal_cannot_flood_the_log() -> None:
    """Code and message are the other side's: cut, and without control characters."""
    with pytest.raises(GameFailed) as failed:
        read_answer(200, b'{"errorCode": "' + b"x" * 5000 + b'", "errorMessage": "\\u001b[2J"}')
    assert len(failed.value.message) < 400
    assert "\x1b" not in failed.value.message


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Return a TCP socket that listens and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield silent


def test_a_silent_port_is_left_in_time(listener: socket.socket) -> None:
    """A port that takes the connection and says nothing costs the timeout, no more."""
    api = GameApi("127.0.0.1", listener.getsockname()[1], connect_timeout=0.1, query_timeout=0.1)
    with pytest.raises(GameFailed, match="gave no answer in time") as failed:
        api.health()
    assert failed.value.code == "game_silent"


def test_a_server_without_tls_is_a_sentence(listener: socket.socket) -> None:
    """Something else on the port is told from a game."""

    def speak_plainly() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    threading.Thread(target=speak_plainly, daemon=True).start()
    api = GameApi("127.0.0.1", listener.getsockname()[1])
    with pytest.raises(GameFailed, match=r"/tcp \(HTTPS\): ") as failed:
        api.health()
    assert failed.value.code == "game_unreachable"


def test_a_closed_port_is_a_sentence(listener: socket.socket) -> None:
    """While a map loads nothing listens, and the sentence says so."""
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(GameFailed, match="Connection refused"):
        GameApi("127.0.0.1", port).health()
