"""`python -m standin`: start, load, play, and die as the game does in the default image."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

from core.errors import AgentError
from standin.access import ClaimFile, Tokens
from standin.config import Config, read_config
from standin.functions import Functions
from standin.https import ApiServer, ensure_certificate
from standin.messaging import MessagingServer
from standin.query import build_response, serve_queries
from standin.sockets import bind
from standin.world import SESSION, World

log = logging.getLogger("standin")

_QUERY_BUFFER = 4 << 20
_DEADLY = (signal.SIGINT, signal.SIGTERM)


def main() -> None:
    """Run until a shutdown by the API (exit code 0, saved), a crash or a signal."""
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(message)s")
    try:
        config = read_config(os.environ, sys.argv[1:])
    except ValueError as error:
        sys.exit(str(error))
    arrange_deaths(config)
    ended = threading.Event()
    ended.wait(config.startup_seconds)
    try:
        world = play(config, ended)
    except (OSError, AgentError, subprocess.SubprocessError) as error:
        sys.exit(f"The stand-in cannot start: {error}")
    ended.wait()
    world.save(f"{SESSION}_autosave_0")


def arrange_deaths(config: Config) -> None:
    """Die at once and unsaved at a signal, with 130, and of a crash with 0, as the image's container does.

    Both were tried with a replica of the image's run.sh: its `wait` returns at the signal, the script
    ends, and the kernel kills the game; after a crash the same `wait` makes it end with 0.

    A thread of its own waits for the signals. A handler runs in the main thread only, and is not run while that one
    waits and the kernel gave the signal to another (tried: 2 of 12 stops under requests took the whole grace).
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _DEADLY)  # before any other thread begins: they inherit it
    _in_background(threading.Thread(target=_die_at_a_signal))
    if config.crash_after is not None:
        _in_background(threading.Timer(config.crash_after, os._exit, [0]))


def _die_at_a_signal() -> None:
    signal.sigwait(_DEADLY)
    os._exit(130)


def play(config: Config, ended: threading.Event) -> World:
    """Open the ports in the game's order; `ended` is set when somebody asks for the shutdown.

    Raises:
        OSError: a port is taken, or the data directory is not writable.
    """
    saved = config.directory / "saved"
    world = World(saved / "server", save_seconds=config.save_seconds, save_fails=config.save_fails)
    settings = saved / f"ServerSettings.{config.game_port}.sav"
    claims = ClaimFile(settings)
    certificate = settings.with_suffix(".pem")
    ensure_certificate(certificate)
    _open_queries(config, world, claims)
    _open_messaging(config, world)
    ended.wait(config.loading_seconds)
    server = ApiServer(
        bind(config.address, config.game_port, socket.SOCK_STREAM),
        certificate,
        Functions(world, claims, Tokens(), max_players=config.max_players),
        local_administrator=config.local_administrator,
        shut_down=ended.set,
    )
    world.begin()
    _serve(server.serve_forever)
    log.info("LogServer: Display: Server API listening on port %d", config.game_port)
    return world


def _open_queries(config: Config, world: World, claims: ClaimFile) -> None:
    bound = bind(config.address, config.game_port, socket.SOCK_DGRAM)
    # Linux's default holds 277 queries; on a busy host Python may not get to them for longer than they take to come.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _QUERY_BUFFER)

    def respond(cookie: int) -> bytes:
        return build_response(cookie, world.state, world.versions, claims.claim.server_name)

    _serve(lambda: serve_queries(bound, respond))


def _open_messaging(config: Config, world: World) -> None:
    listener = bind(config.address, config.messaging_port, socket.SOCK_STREAM)
    _serve(MessagingServer(listener, world).serve_forever)
    log.info("LogReliableMessaging: Display: Server streaming socket bound to port %d", config.messaging_port)


def _serve(forever: Callable[[], object]) -> None:
    _in_background(threading.Thread(target=forever))


def _in_background(thread: threading.Thread) -> None:
    thread.daemon = True
    thread.start()


if __name__ == "__main__":
    main()
