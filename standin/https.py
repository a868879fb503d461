"""The HTTPS API's wire: TLS with a certificate of its own, one endpoint, JSON envelopes."""

import ipaddress
import json
import logging
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from core.files import write_atomic
from standin.functions import Answer, Functions, RefusedError

log = logging.getLogger(__name__)

ENDPOINT = "/api/v1"
MAX_BODY = 1024 * 1024
ROUTE_UNKNOWN = "errors.com.epicgames.httpserver.route_handler_not_found"


@dataclass(frozen=True)
class Call:
    """One request's envelope."""

    function: str
    data: Mapping[str, object]


class _Handler(BaseHTTPRequestHandler):
    server: "ApiServer"
    protocol_version = "HTTP/1.1"
    timeout = 10  # seconds that a caller may say nothing, the TLS handshake included
    disable_nagle_algorithm = True  # head and body are two writes, and 40 ms apart otherwise

    def do_GET(self) -> None:
        self._refuse(RefusedError(ROUTE_UNKNOWN, "", 404))

    def do_POST(self) -> None:
        try:
            call = self._read_call()
            answer = self.server.functions.call(
                call.function, call.data, token=self._token(), trusted=self._is_trusted()
            )
        except RefusedError as refused:
            self._refuse(refused)
        else:
            self._answer(answer)

    def _read_call(self) -> Call:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY:
            self.close_connection = True  # what follows is not the next request
            raise RefusedError("invalid_request", "The body needs a length, of 1 MiB at most.", 400)
        body = self.rfile.read(int(length))
        if self.path != ENDPOINT:
            raise RefusedError(ROUTE_UNKNOWN, "", 404)
        if self.headers.get_content_type() != "application/json":
            raise RefusedError("unsupported_media_type", "Send application/json.", 415)
        return read_call(body)

    def _token(self) -> str | None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        return token if scheme == "Bearer" else None

    def _is_trusted(self) -> bool:
        return self.server.local_administrator and is_loopback(self.client_address[0])

    def _answer(self, answer: Answer) -> None:
        if answer.data is None:
            self._send(204, b"")
        else:
            self._send(200, json.dumps({"data": answer.data}).encode())
        if answer.last:
            self.server.shut_down()

    def _refuse(self, refused: RefusedError) -> None:
        body = json.dumps({"errorCode": refused.code, "errorMessage": str(refused)})
        self._send(refused.status, body.encode())

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if body:
            self.send_header("Content-Type", "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class ApiServer(ThreadingHTTPServer):
    """Serves the functions on `listener`; `serve_forever` runs it.

    Args:
        listener: a bound socket.
        certificate: the file with key and certificate.
        functions: what is served.
        local_administrator: callers from loopback need no token.
        shut_down: called when a caller has been told that the game shuts down.
    """

    request_queue_size = 128

    def __init__(
        self,
        listener: socket.socket,
        certificate: Path,
        functions: Functions,
        *,
        local_administrator: bool,
        shut_down: Callable[[], None],
    ) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        # The handshake is the handler thread's, so that a silent caller keeps nobody else waiting.
        self.socket = context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
        self.server_activate()
        self.functions = functions
        self.local_administrator = local_administrator
        self.shut_down = shut_down

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 - the signature is the base's
        """Say in one line who failed at TLS or left in the middle; others go on."""
        log.warning("Caller %s is gone: %s", client_address, sys.exception())


def read_call(body: bytes) -> Call:
    """Read an envelope; keys may begin in either case, as the game takes them.

    Raises:
        RefusedError: not JSON, or not an envelope.
    """
    try:
        envelope = _lower_first(json.loads(body))
        return Call(str(envelope["function"]), _lower_first(envelope.get("data") or {}))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RefusedError("invalid_request", 'Send {"function": "...", "data": {...}}.', 400) from error


def _lower_first(fields: dict[str, Any]) -> dict[str, Any]:
    return {key[:1].lower() + key[1:]: value for key, value in fields.items()}


def is_loopback(address: str) -> bool:
    """Say whether an address is this host's own, also when it comes as IPv4 in IPv6."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def ensure_certificate(path: Path) -> None:
    """Make a key and a self-signed certificate in one file, unless an earlier start has.

    Raises:
        subprocess.CalledProcessError: openssl failed; what it said is on stderr.
        StoreFailed: the file cannot be written.
    """
    if path.exists():
        return
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "-"]
    certificate = ["-x509", "-days", "3650", "-subj", "/CN=DedicatedServer", "-out", "-"]
    made = subprocess.run(
        ["/usr/bin/openssl", "req", *key, *certificate], stdout=subprocess.PIPE, check=True, timeout=30
    )
    write_atomic(path, made.stdout)
