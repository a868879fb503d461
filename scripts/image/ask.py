"""Asks the agent's own API from inside its container: the health check's and the deploy script's way in.

    ask.py METHOD PATH [SECONDS]    the body, if any, is read from stdin when METHOD is POST

Prints the answer's body; exit code 0 for a 2xx answer, 1 for another one or none. The key is taken from the
environment, so it stands in no command line. A bare Debian host has no curl; the container has Python.
"""

import http.client
import os
import ssl
import sys
from collections.abc import Mapping

_DEFAULT_DEADLINE = 5.0


def ask(method: str, path: str, body: bytes, environ: Mapping[str, str], deadline: float) -> tuple[int, str]:
    """Send one request to the agent on the loopback address.

    Args:
        method: HTTP method.
        path: path of the route.
        body: JSON, or nothing.
        environ: where port, key and TLS are configured.
        deadline: seconds the connection may be silent.

    Returns:
        HTTP status and body.

    Raises:
        OSError: nobody answers.
        http.client.HTTPException: the answer is not HTTP.
    """
    connection = _connect(environ, deadline)
    headers = {"X-API-Key": environ.get("HOST_AGENT_API_KEY", "")}
    if body:
        headers["Content-Type"] = "application/json"
    try:
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def _connect(environ: Mapping[str, str], deadline: float) -> http.client.HTTPConnection:
    port = int(environ.get("HOST_AGENT_PORT") or 8082)
    if not environ.get("HOST_AGENT_TLS_CERT"):
        return http.client.HTTPConnection("127.0.0.1", port, timeout=deadline)
    # The certificate is made out for the host's name; this is the same container's loopback.
    unchecked = ssl._create_unverified_context()  # noqa: S323, SLF001
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=deadline, context=unchecked)


def main(arguments: list[str]) -> int:
    """Run as a command; see the module's text."""
    method, path = arguments[:2]
    deadline = float(arguments[2]) if len(arguments) > 2 else _DEFAULT_DEADLINE
    body = sys.stdin.buffer.read() if method == "POST" else b""
    try:
        status, text = ask(method, path, body, os.environ, deadline)
    except (OSError, http.client.HTTPException) as error:
        print(f"The agent does not answer {method} {path}: {error}", file=sys.stderr)  # noqa: T201 - a command
        return 1
    print(text.rstrip())  # noqa: T201 - a command
    return 0 if 200 <= status < 300 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
