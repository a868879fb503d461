"""The stand-in as a real process, asked by the agent's own code and by a plain HTTPS client."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from core.errors import GameFailed
from satisfactory import probe
from satisfactory.https import GameApi
from satisfactory.query import GameState, build_poll, poll
from tests.waiting import wait_until

LOCAL_ADMINISTRATOR = "-ini:Engine:[SystemSettings]:FG.DedicatedServer.AllowInsecureLocalAccess=1"
PASSWORD = "correct horse"
_HELD_UP = 350  # more than fit into the buffer that Linux gives by default


def free_port() -> int:
    """Return a number that is free for TCP and for UDP."""
    while True:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind(("127.0.0.1", 0))
            try:
                udp.bind(tcp.getsockname())
            except OSError:
                continue
            return int(tcp.getsockname()[1])


class Game:
    """A stand-in that can be started again on the same data."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.messaging_port = free_port()
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def saves(self) -> Path:
        """The folder in which saves appear."""
        return self.directory / "saved" / "server"

    def start(self, *arguments: str, **knobs: str) -> subprocess.Popen[bytes]:
        """Start it with the default image's environment and knobs of its own."""
        environ = {
            "PATH": os.environ["PATH"],
            "MULTIHOME": "127.0.0.1",
            "SERVERGAMEPORT": str(self.port),
            "SERVERMESSAGINGPORT": str(self.messaging_port),
            "MAXPLAYERS": "6",
            "STANDIN_CONFIG_DIRECTORY": str(self.directory),
        }
        process = subprocess.Popen([sys.executable, "-m", "standin", *arguments], env=environ | knobs)
        self.processes.append(process)
        return process

    def play(self, *arguments: str, **knobs: str) -> subprocess.Popen[bytes]:
        """Start it, and wait until it is played."""
        process = self.start(*arguments, **knobs)
        wait_until(
            lambda: self.state() is GameState.PLAYING and self.health(),
            within=10,
            saying="the stand-in is played",
        )
        return process

    def state(self) -> GameState:
        """Return what the lightweight query says."""
        return poll("127.0.0.1", self.port, timeout=1).state

    def health(self) -> str:
        """Return what the API says of its health."""
        return GameApi("127.0.0.1", self.port).health()

    def call(self, function: str, data: dict[str, object], token: str | None = None) -> tuple[int, Any]:
        """Call a function as any client would, and return status and JSON."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return self.request("POST", "/api/v1", json.dumps({"function": function, "data": data}), headers)

    def request(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, Any]:
        """Send one HTTPS request, and return status and JSON."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with closing(http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)) as client:
            client.request(method, path, body, headers)
            response = client.getresponse()
            content = response.read()
        return response.status, json.loads(content) if content else None

    def duration(self) -> int:
        """Return the seconds played, as the local administrator reads them."""
        return int(self.call("QueryServerState", {})[1]["data"]["serverGameState"]["totalGameDuration"])

    def end(self) -> None:
        """End what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait(timeout=10)


@pytest.fixture
def game(tmp_path: Path) -> Iterator[Game]:
    """Return a stand-in that is not started yet."""
    game = Game(tmp_path / "config")
    yield game
    game.end()


def test_queries_wait_for_a_game_that_is_held_up(game: Game) -> None:
    """A busy host may not run it for a third of a second; whoever asked meanwhile, at 1,000 a second, is answered."""
    process = game.play()
    with socket.socket(type=socket.SOCK_DGRAM) as player:
        player.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        player.settimeout(5)
        player.connect(("127.0.0.1", game.port))
        process.send_signal(signal.SIGSTOP)
        for number in range(_HELD_UP):
            player.send(build_poll(number))
        process.send_signal(signal.SIGCONT)
        for _ in range(_HELD_UP):
            player.recv(512)


def test_the_probe_finds_it_in_all_three_ways(game: Game, capsys: pytest.CaptureFixture[str]) -> None:
    """What the agent asks and what the stand-in answers are the same protocols, loading included."""
    game.start(STANDIN_STARTUP_SECONDS="0.3", STANDIN_LOADING_SECONDS="0.3")
    code = probe.main(["127.0.0.1", str(game.port), str(game.messaging_port), "--within", "15"])
    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert [line.split()[0] for line in lines] == ["udp", "https", "tcp"]
    assert all(" answered in " in line for line in lines)


def test_nothing_answers_in_start_up(game: Game) -> None:
    """While the game starts, its ports are closed."""
    game.start(STANDIN_STARTUP_SECONDS="600")
    assert probe.main(["127.0.0.1", str(game.port), str(game.messaging_port), "--within", "0"]) == 1


def test_while_it_loads_only_the_query_answers(game: Game) -> None:
    """Loading shows in the lightweight query, and the API is down."""
    game.start(STANDIN_LOADING_SECONDS="600")
    wait_until(lambda: game.state() is GameState.LOADING, within=10, saying="the query says Loading")
    with pytest.raises(GameFailed):
        game.health()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_kills_it_unsaved(game: Game, number: signal.Signals) -> None:
    """It dies at once with 130 and writes nothing, as the real image does at `docker stop`."""
    process = game.play()
    process.send_signal(number)
    assert process.wait(timeout=2) == 130
    assert list(game.saves.iterdir()) == []


def test_a_signal_in_start_up_kills_it_too(game: Game) -> None:
    """Nothing has to be up for it to die."""
    process = game.start(STANDIN_LOADING_SECONDS="600")
    wait_until(game.state, within=10, saying="it runs")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=2) == 130


def test_a_crash_has_exit_code_zero(game: Game) -> None:
    """A crash cannot be told from a clean end by its exit code, as with the real image."""
    process = game.start(STANDIN_CRASH_AFTER="1")
    assert process.wait(timeout=10) == 0
    assert list(game.saves.glob("*")) == []


def test_the_api_shuts_it_down_saved(game: Game) -> None:
    """The Shutdown call is answered, saved, and ends with 0; the next start goes on from there."""
    process = game.play(LOCAL_ADMINISTRATOR)
    wait_until(lambda: game.duration() >= 1, within=5, saying="a second has been played")
    assert game.call("Shutdown", {}) == (204, None)
    assert process.wait(timeout=5) == 0
    game.play(LOCAL_ADMINISTRATOR)
    assert game.duration() >= 1


def test_a_save_is_what_a_kill_cannot_take(game: Game) -> None:
    """What was saved before the signal is there afterwards, and the query has told of it."""
    process = game.play(LOCAL_ADMINISTRATOR)
    before = poll("127.0.0.1", game.port).sub_states[3]
    wait_until(lambda: game.duration() >= 1, within=5, saying="a second has been played")
    assert game.call("SaveGame", {"saveName": "agent_stop"}) == (204, None)
    assert poll("127.0.0.1", game.port).sub_states[3] == before + 1
    assert (game.saves / "agent_stop.sav").stat().st_size > 10_000
    process.send_signal(signal.SIGINT)
    process.wait(timeout=2)
    game.play(LOCAL_ADMINISTRATOR)
    assert game.duration() >= 1


def test_an_owner_claims_names_and_locks_it(game: Game) -> None:
    """The whole way from an unclaimed server to a locked one, kept over a restart with its certificate."""
    process = game.play()
    _, login = game.call("PasswordlessLogin", {"minimumPrivilegeLevel": "InitialAdmin"})
    claim: dict[str, object] = {"serverName": "Fäbrik", "adminPassword": PASSWORD}
    _, claimed = game.call("ClaimServer", claim, login["data"]["authenticationToken"])
    admin = claimed["data"]["authenticationToken"]
    assert game.call("SetClientPassword", {"password": "x"}, admin) == (204, None)
    assert poll("127.0.0.1", game.port).name == "Fäbrik"
    certificate = ssl.get_server_certificate(("127.0.0.1", game.port))
    process.send_signal(signal.SIGINT)
    process.wait(timeout=2)
    game.play()
    assert ssl.get_server_certificate(("127.0.0.1", game.port)) == certificate
    status, refused = game.call("PasswordlessLogin", {"minimumPrivilegeLevel": "Client"})
    assert (status, refused["errorCode"]) == (200, "passwordless_login_not_possible")
    asked: dict[str, object] = {"minimumPrivilegeLevel": "Administrator", "password": PASSWORD}
    assert game.call("PasswordLogin", asked)[1]["data"]["authenticationToken"]


def test_without_the_switch_loopback_is_nobody(game: Game) -> None:
    """The local administrator exists only where the command line says so."""
    game.play()
    status, body = game.call("SaveGame", {"saveName": "x"})
    assert (status, body["errorCode"]) == (401, "invalid_token")


def test_http_is_answered_as_the_games_server_does(game: Game) -> None:
    """Unknown routes, functions, bodies and types have their statuses and the game's form."""
    game.play()
    route_unknown = "errors.com.epicgames.httpserver.route_handler_not_found"
    as_json = {"Content-Type": "application/json"}
    assert game.request("GET", "/", None, {})[1] == {"errorCode": route_unknown, "errorMessage": ""}
    assert game.request("POST", "/api/v2", "{}", as_json)[1]["errorCode"] == route_unknown
    assert game.call("Dance", {})[0] == 404
    assert game.request("POST", "/api/v1", "{", as_json)[0] == 400
    assert game.request("POST", "/api/v1", "{}", {"Content-Type": "text/plain"})[0] == 415
    assert game.request("POST", "/api/v1", None, {**as_json, "Content-Length": "9999999"})[0] == 400


def test_silent_callers_keep_nobody_waiting(game: Game) -> None:
    """Connections that never begin TLS do not stop the API, and plain text does not either."""
    game.play()
    silent = [socket.create_connection(("127.0.0.1", game.port)) for _ in range(20)]
    silent[0].sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert GameApi("127.0.0.1", game.port, query_timeout=3).health() == "healthy"
    for connection in silent:
        connection.close()


def test_who_is_connected_is_a_player(game: Game) -> None:
    """A messaging connection counts as a player, in the API and in the query's versions, until it ends."""
    game.play(LOCAL_ADMINISTRATOR)
    before = poll("127.0.0.1", game.port).sub_states[0]

    def players() -> int:
        return int(game.call("QueryServerState", {})[1]["data"]["serverGameState"]["numConnectedPlayers"])

    with socket.create_connection(("127.0.0.1", game.messaging_port)):
        wait_until(lambda: players() == 1, within=2, saying="the player is counted")
    wait_until(lambda: players() == 0, within=2, saying="the player has left")
    assert poll("127.0.0.1", game.port).sub_states[0] == before + 2


def test_a_taken_port_is_said(game: Game) -> None:
    """A messaging port that is taken ends the start, with a sentence and a code that is not 0."""
    with socket.create_server(("127.0.0.1", game.messaging_port)):
        process = game.start()
        assert process.wait(timeout=10) == 1
