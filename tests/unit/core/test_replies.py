"""What other machines answer is bounded in size and in time."""

import gzip
import itertools
from collections.abc import Callable

import pytest
import requests
from pytest_httpserver import HTTPServer
from werkzeug import Response

from core.replies import EndlessReply, Reply, reply_of

LIMIT = 100


def read(server: HTTPServer, answer: Response, clock: Callable[[], float] = lambda: 0.0) -> Reply:
    """Have the server answer so, and read that until 10 s of the clock at most."""
    server.expect_request("/").respond_with_response(answer)
    with requests.get(server.url_for("/"), stream=True, timeout=10) as response:
        return reply_of(response, limit=LIMIT, deadline=10.0, clock=clock)


def test_a_reply_is_status_and_body(httpserver: HTTPServer) -> None:
    """Up to the last byte that is allowed, and whatever the status says."""
    assert read(httpserver, Response(b"x" * LIMIT, 500)) == Reply(500, b"x" * LIMIT)


def test_a_longer_body_is_refused(httpserver: HTTPServer) -> None:
    """One byte suffices: nobody knows how many would follow."""
    with pytest.raises(EndlessReply):
        read(httpserver, Response(b"x" * (LIMIT + 1)))


def test_a_length_that_is_not_said_makes_no_difference(httpserver: HTTPServer) -> None:
    """A body without end is read no further than the limit."""
    with pytest.raises(EndlessReply):
        read(httpserver, Response(iter(lambda: b"x" * 1000, b"")))


def test_a_body_that_takes_too_long_is_not_waited_for(httpserver: HTTPServer) -> None:
    """Each piece in time is not enough."""
    clock = itertools.count(0, 11)
    next(clock)
    with pytest.raises(TimeoutError):
        read(httpserver, Response(b"x"), clock=lambda: next(clock))


def test_a_compressed_body_is_not_unpacked(httpserver: HTTPServer) -> None:
    """A few bytes could become gigabytes."""
    packed = gzip.compress(b"x" * 10_000)
    assert len(packed) < LIMIT
    assert read(httpserver, Response(packed, headers={"Content-Encoding": "gzip"})).body == packed
