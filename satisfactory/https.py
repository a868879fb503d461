"""The HTTPS API of a game server, as far as the agent asks it over the network.

The certificate is self-signed and made by each server itself, so it is not verified.
"""

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import GameFailed

CONNECT_TIMEOUT = 3.0
QUERY_TIMEOUT = 10.0
ENDPOINT = "/api/v1"
MAX_ANSWER = 1024 * 1024

_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_TLS.check_hostname = False
_TLS.verify_mode = ssl.CERT_NONE


@dataclass(frozen=True)
class GameApi:
    """One server's API.

    Attributes:
        host: a name or an address.
        port: the game port; the API has the same number as the lightweight query, by TCP.
        connect_timeout: seconds until the connection stands.
        query_timeout: seconds that the server may say nothing.
    """

    host: str
    port: int
    connect_timeout: float = CONNECT_TIMEOUT
    query_timeout: float = QUERY_TIMEOUT

    def health(self) -> str:
        """Return `healthy`, or `slow` for a server under 10 ticks per second.

        Raises:
            GameFailed: the API is not reachable (as while a map loads) or does not answer as a game does.
        """
        health = self.call("HealthCheck", {"clientCustomData": ""}).get("health")
        if health not in ("healthy", "slow"):
            raise GameFailed("game_answer_unknown", f"{self._name} calls its health {str(health)[:40]!r}.")
        return str(health)

    @property
    def _name(self) -> str:
        return f"{self.host}:{self.port}/tcp (HTTPS)"

    def call(
        self, function: str, data: Mapping[str, object], *, token: str | None = None, within: float | None = None
    ) -> dict[str, Any]:
        """Call a function and return its data.

        Args:
            function: its name.
            data: what it takes.
            token: of a login; most functions need one.
            within: seconds that the server may say nothing; by default `query_timeout`.

        Raises:
            GameFailed: the API is not reachable, says nothing, or refuses.
        """
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=self.connect_timeout, context=_TLS)
        try:
            connection.connect()
            connection.sock.settimeout(within or self.query_timeout)
            connection.request("POST", ENDPOINT, build_call(function, data), _headers(token))
            response = connection.getresponse()
            return read_answer(response.status, response.read(MAX_ANSWER))
        except TimeoutError as error:
            raise GameFailed("game_silent", f"{self._name} gave no answer in time.") from error
        except (OSError, http.client.HTTPException) as error:
            raise GameFailed("game_unreachable", f"{self._name}: {_reason(error)}.") from error
        finally:
            connection.close()


def _headers(token: str | None) -> dict[str, str]:
    authorization = {"Authorization": f"Bearer {token}"} if token else {}
    return {"Content-Type": "application/json"} | authorization


def build_call(function: str, data: Mapping[str, object]) -> bytes:
    """Return the body that calls `function`."""
    return json.dumps({"function": function, "data": data}).encode()


def read_answer(status: int, body: bytes) -> dict[str, Any]:
    """Return the data of an answer; none is an empty dictionary.

    Raises:
        GameFailed: the game refused, which it may do with any HTTP status, 200 included, or this is no game.
    """
    if status == 204:
        return {}
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise GameFailed("game_answer_unknown", f"The game answered {status} without JSON.", status=status)
    if "errorCode" in answer:
        raise _refusal(status, str(answer["errorCode"]), str(answer.get("errorMessage") or ""))
    data = answer.get("data")
    if status >= 300 or not isinstance(data, dict):
        raise GameFailed("game_answer_unknown", f"The game answered {status} without data.", status=status)
    return data


def _refusal(status: int, code: str, message: str) -> GameFailed:
    # Both texts are the game's, and end up in logs and answers.
    sentence = f"The game refused with {code[:100]!a}" + (f": {message[:200]!a}." if message else ".")
    return GameFailed("game_refused", sentence, status=status, errorCode=code[:100])


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__)
