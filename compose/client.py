"""The SDK's client with what it lacks: deadlines everywhere, errors of ours, an `exec` that loses nothing."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import docker
import requests
import urllib3
from docker.errors import APIError, DockerException, create_api_error_from_http_exception
from docker.utils import version_lt

from compose.faults import classify
from core.errors import AgentError, DockerUnavailable, NotFound

# What engine 20.10 speaks, and all later ones up to 28; 29 takes nothing below 1.44.
API_VERSION = "1.41"
_HEADER = 8  # bytes before each piece of an exec's output: stream, three zeros, length
_STDOUT = 1


class Client(docker.APIClient):
    """The SDK's client, with a deadline on the calls for which the SDK itself sets none (pull, events)."""

    def request(self, method: str, url: str, **options: Any) -> requests.Response:  # type: ignore[override]  # noqa: ANN401 - passed on
        """Send one request, with this client's own deadline where the caller names none."""
        options["timeout"] = options.get("timeout") or self.timeout
        return super().request(method, url, **options)


def spoken_version(base_url: str, timeout: float) -> str:
    """Return the version of the engine's API to speak: ours, or the oldest that a newer engine takes."""
    with Client(base_url=base_url, version=API_VERSION, timeout=timeout) as client, translated():  # type: ignore[arg-type]  # seconds may be a fraction
        oldest: str = client.version(api_version=False)["MinAPIVersion"]
    return oldest if version_lt(API_VERSION, oldest) else API_VERSION


@contextmanager
def translated(*, silence: AgentError | None = None, fine: Collection[int] = ()) -> Iterator[None]:
    """Turn whatever the SDK and the transport raise into an error of ours.

    Args:
        silence: what it means if the engine says nothing any more; by default that it hangs.
        fine: HTTP statuses by which the engine says that things are already as the caller wants them.
    """
    try:
        yield
    except APIError as error:
        if error.status_code not in fine:
            raise _error_of(error) from error
    except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
        raise silence or DockerUnavailable(
            "docker_silent", "The Docker engine took the call and does not answer; look at its log."
        ) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, DockerException, OSError) as error:
        raise DockerUnavailable(
            "docker_unavailable", "The Docker engine is not reachable; start it, then try again."
        ) from error


def _error_of(error: APIError) -> AgentError:
    if error.status_code == requests.codes.not_found:
        return NotFound("not_in_docker", f"Docker knows nothing of it: {error.explanation}.")
    return classify(str(error.explanation))


def start_exec(client: Client, key: str) -> requests.Response:
    """Start an exec and return its output as a body that ends with it.

    Not by the SDK's own call: it reads from beneath the buffer that read the headers, and so loses output
    that came with them; and it takes the deadline off.
    """
    response = client.post(
        f"{client.base_url}/v{client.api_version}/exec/{key}/start", json={"Detach": False, "Tty": False}, stream=True
    )
    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        create_api_error_from_http_exception(error)
    return response


def until_end(response: requests.Response, deadline: float, late: AgentError) -> bytes:
    """Return all of a body; raise `late` if it goes on after `deadline` (of the monotonic clock)."""
    written = b""
    while piece := response.raw.read1(1 << 16):
        written += piece
        if time.monotonic() > deadline:
            raise late
    return written


def split_streams(written: bytes) -> tuple[str, str]:
    """Return stdout and stderr out of the mixed output of an exec."""
    stdout, stderr, at = b"", b"", 0
    while at + _HEADER <= len(written):
        end = at + _HEADER + int.from_bytes(written[at + 4 : at + _HEADER], "big")
        piece = written[at + _HEADER : end]
        if written[at] == _STDOUT:
            stdout += piece
        else:
            stderr += piece
        at = end
    return stdout.decode(errors="replace"), stderr.decode(errors="replace")
