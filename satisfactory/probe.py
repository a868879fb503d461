"""`python -m satisfactory.probe HOST GAME_PORT MESSAGING_PORT`: can a player reach this server?

Asks in the three ways in which a player's game does, each until it is answered or the time is over, and
prints one line for each. The exit code is 0 only if all three were answered.
"""

import argparse
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from core.errors import GameFailed
from satisfactory.https import GameApi
from satisfactory.query import poll

PAUSE = 0.25  # seconds between two attempts
ECHO_TIMEOUT = 5.0
NONCE_BYTES = 16


@dataclass(frozen=True)
class Way:
    """One way to a server.

    Attributes:
        name: the protocol.
        host: where to ask.
        port: where to ask.
        ask: asks once and returns what the server said; raises GameFailed.
    """

    name: str
    host: str
    port: int
    ask: Callable[[], str]


@dataclass(frozen=True)
class Finding:
    """What came of one way: its line, and whether it was answered."""

    line: str
    answered: bool


def ways(host: str, game_port: int, messaging_port: int) -> list[Way]:
    """Return the three ways to a server."""
    return [
        Way("udp", host, game_port, lambda: _query(host, game_port)),
        Way("https", host, game_port, lambda: f"the game is {GameApi(host, game_port).health()}"),
        Way("tcp", host, messaging_port, lambda: _echo(host, messaging_port)),
    ]


def try_way(
    way: Way, within: float, *, clock: Callable[[], float] = time.monotonic, pause: Callable[[float], object]
) -> Finding:
    """Ask until there is an answer or `within` seconds have passed; at least once."""
    deadline = clock() + within
    where = f"{way.name:<5} {way.host}:{way.port}"
    while True:
        asked = clock()
        try:
            said = way.ask()
        except GameFailed as failed:
            if clock() + PAUSE > deadline:
                return Finding(f"{where}  no answer within {within:g} s: {failed.message}", answered=False)
            pause(PAUSE)
        else:
            milliseconds = (clock() - asked) * 1000
            return Finding(f"{where}  answered in {milliseconds:.0f} ms: {said}", answered=True)


def _query(host: str, port: int) -> str:
    state = poll(host, port)
    return f'"{state.name}" is {state.state.name.lower()}'


def _echo(host: str, port: int) -> str:
    nonce = secrets.token_bytes(NONCE_BYTES)
    try:
        with socket.create_connection((host, port), timeout=ECHO_TIMEOUT) as connection:
            connection.sendall(nonce)
            back = _receive(connection, len(nonce))
    except TimeoutError:
        message = f"{host}:{port}/tcp sent nothing back within {ECHO_TIMEOUT:g} s."
        raise GameFailed("game_silent", message) from None
    except OSError as error:
        raise GameFailed("game_unreachable", f"{host}:{port}/tcp: {error.strerror}.") from error
    if back != nonce:
        raise GameFailed("game_answer_unknown", f"{host}:{port}/tcp closed before it sent back what it got.")
    return f"{NONCE_BYTES} bytes went there and back"


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size and (part := connection.recv(size - len(received))):
        received += part
    return received


def main(arguments: Sequence[str]) -> int:
    """Probe one server and return the exit code."""
    asked = _read_arguments(arguments)
    pause = threading.Event().wait
    with ThreadPoolExecutor() as pool:
        probed = [
            pool.submit(try_way, way, asked.within, pause=pause)
            for way in ways(asked.host, asked.game_port, asked.messaging_port)
        ]
        findings = [future.result() for future in probed]
    for finding in findings:
        sys.stdout.write(f"{finding.line}\n")
    return 0 if all(finding.answered for finding in findings) else 1


def _read_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m satisfactory.probe",
        description="Ask a game server by lightweight query (UDP), HTTPS and messaging (TCP). The messaging "
        "port must send back what it gets: the stand-in's does, a real game's does not.",
    )
    parser.add_argument("host", help="name or address that players type")
    parser.add_argument("game_port", type=_port)
    parser.add_argument("messaging_port", type=_port)
    parser.add_argument("--within", type=float, default=30.0, metavar="SECONDS", help="default 30")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not a port, which is from 1 to 65535")
    return port


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
