"""What other machines answer over HTTP, read with a bound on its size and on the time that it takes."""

from collections.abc import Callable
from dataclasses import dataclass

import requests

_CHUNK = 16 * 1024


class EndlessReply(Exception):
    """A body that is longer than whoever asked would read."""


@dataclass(frozen=True)
class Reply:
    """An answer as it came: its HTTP status and its bounded body."""

    status: int
    body: bytes


def reply_of(response: requests.Response, *, limit: int, deadline: float, clock: Callable[[], float]) -> Reply:
    """Read the answer to a request that was sent with `stream=True`, whatever its length is said to be.

    Args:
        response: the answer, of which nothing was read yet.
        limit: bytes that its body may have.
        deadline: until when, by `clock`, it may take; one that trickles in would else take for ever.
        clock: seconds that only grow.

    Raises:
        EndlessReply: the body is longer.
        TimeoutError: it took longer.
    """
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK, decode_content=False):
        body += chunk
        if len(body) > limit:
            raise EndlessReply
        if clock() > deadline:
            raise TimeoutError
    return Reply(response.status_code, bytes(body))
