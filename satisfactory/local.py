"""The HTTPS API from inside the game's container, where its local administrator needs no token.

The game lets callers from loopback do everything when it was started with
`FG.DedicatedServer.AllowInsecureLocalAccess=1`. How a program is run in there is handed in.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import DeadlinePassed, GameFailed
from core.proc import Completed
from satisfactory.https import CONNECT_TIMEOUT, ENDPOINT, QUERY_TIMEOUT, build_call, read_answer

Run = Callable[[Sequence[str], Mapping[str, str], float], Completed]
"""Runs a program with further environment variables, for so many seconds at most."""

# The whole call comes by the environment, since a process list shows arguments, and a call may hold a password.
_ARGV = ("sh", "-c", 'printf %s "$SATIS_CALL" | curl --disable --config -')
_SLACK = 5.0  # seconds for the shell and for Docker, beyond what curl itself may take
_TIMED_OUT = 28  # curl's exit code
_NOT_THERE = frozenset({126, 127})  # the shell's exit codes, and Docker's for a missing shell


class NoCurlError(GameFailed):
    """The container has no shell or no curl, so nothing can be asked from inside."""


@dataclass(frozen=True)
class LocalApi:
    """One server's API, as its own container reaches it.

    Attributes:
        run: runs a program in the container.
        port: the game port.
    """

    run: Run
    port: int

    def call(
        self, function: str, data: Mapping[str, object], *, token: str | None = None, within: float | None = None
    ) -> dict[str, Any]:
        """Call a function and return its data; arguments and errors as `GameApi.call`.

        Raises:
            NoCurlError: nothing can be asked this way.
            GameFailed: the API is not reachable, says nothing, or refuses.
        """
        seconds = within or QUERY_TIMEOUT
        config = curl_config(f"https://127.0.0.1:{self.port}{ENDPOINT}", build_call(function, data), token, seconds)
        try:
            done = self.run(_ARGV, {"SATIS_CALL": config}, seconds + _SLACK)
        except DeadlinePassed as error:
            raise self._silent() from error
        return self._answer(done)

    def _answer(self, done: Completed) -> dict[str, Any]:
        if done.returncode in _NOT_THERE:
            raise NoCurlError("no_curl", "The game's container has no curl, so nothing can be asked in there.")
        if done.returncode == _TIMED_OUT:
            raise self._silent()
        body, _, status = done.stdout.rpartition("\n")
        if done.returncode != 0 or not status.isdecimal():
            reason = done.stderr.strip()[:200] or f"curl ended with {done.returncode}"
            raise GameFailed("game_unreachable", f"The game's API in its container: {reason!a}.")
        return read_answer(int(status), body.encode())

    def _silent(self) -> GameFailed:
        return GameFailed("game_silent", f"The game's API at 127.0.0.1:{self.port} in its container says nothing.")


def curl_config(url: str, body: bytes, token: str | None, seconds: float) -> str:
    """Return what curl reads as its configuration: a call whose answer ends with a line that holds the status."""
    headers = ["Content-Type: application/json"] + ([f"Authorization: Bearer {token}"] if token else [])
    lines = [
        "silent",
        "show-error",
        "insecure",
        'noproxy = "*"',
        f"connect-timeout = {CONNECT_TIMEOUT:g}",
        f"max-time = {seconds:g}",
        r'write-out = "\n%{http_code}"',
        *(f"header = {_quoted(header)}" for header in headers),
        f"data-binary = {_quoted(body.decode())}",
        f"url = {_quoted(url)}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Quote as curl unquotes; what is no printable ASCII is not in JSON of ours, nor in a token."""
    return json.dumps(text)
