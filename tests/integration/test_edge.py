"""The edge with real rathole: traffic, and what restarts, crashes and deletes do to it."""

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from core.models import Ports
from core.settings import load_settings
from rathole.manager import InstanceManager
from tests.integration.edge_rig import TOKEN, Edge, Game
from tests.waiting import is_gone, wait_until


@pytest.fixture
def edge(tmp_path: Path, rathole_binary: str) -> Iterator[Edge]:
    """Return an edge that serves."""
    edge = Edge(Path(rathole_binary), tmp_path)
    try:
        edge.start()
        yield edge
    finally:
        edge.clear()


@pytest.fixture
def play(edge: Edge) -> Iterator[Callable[[str], Game]]:
    """Return what starts a game server with its client for an instance that is there."""
    games: list[Game] = []

    def start(server_id: str) -> Game:
        games.append(Game(edge, server_id))
        return games[-1]

    yield start
    for game in games:
        game.close()


@pytest.fixture
def game(edge: Edge, play: Callable[[str], Game]) -> Game:
    """Return the game server srv_1, reachable."""
    assert edge.create("srv_1", 0, 1).status_code == 200
    game = play("srv_1")
    game.assert_reachable()
    return game


def _pid_of_server(edge: Edge) -> int:
    (server,) = edge.rathole_servers()
    return int(server.pid)


def test_traffic_reaches_the_game_at_the_ports_that_were_asked_for(edge: Edge, game: Game) -> None:
    """UDP and TCP at the game port, TCP at the query port, through rathole's encrypted transport."""
    instance = edge.instance("srv_1")
    assert instance["tunnel_game_tcp_port"] == instance["tunnel_game_udp_port"] == edge.port(0)
    assert instance["tunnel_query_port"] == edge.port(1)
    assert instance["is_running"] is True
    game.assert_reachable()


def test_two_instances_do_not_disturb_each_other(edge: Edge, game: Game, play: Callable[[str], Game]) -> None:
    """Both are reachable at once, and the first stays so while the second is removed."""
    assert edge.create("srv_2", 2, 3).status_code == 200
    play("srv_2").assert_reachable()
    game.assert_reachable()
    assert edge.call("DELETE", "/srv_2").status_code == 200
    game.assert_reachable(within=2)


def test_a_restart_keeps_everything(edge: Edge, game: Game) -> None:
    """Ports, control port and token outlive the edge; a client that runs on comes back by itself."""
    before = edge.instance("srv_1")
    assert edge.stop() == 0
    assert edge.rathole_servers() == []
    edge.start()
    assert edge.instance("srv_1") == before
    game.assert_reachable()


def test_a_killed_rathole_server_is_back_within_seconds(edge: Edge, game: Game) -> None:
    """Nobody has to do anything; the client connects again."""
    pid = _pid_of_server(edge)
    psutil.Process(pid).kill()
    wait_until(
        lambda: edge.instance("srv_1")["is_running"] and _pid_of_server(edge) != pid,
        within=5,
        saying="another rathole server runs",
    )
    game.assert_reachable()


def test_a_killed_edge_leaves_nothing_in_the_way_of_the_next(edge: Edge, game: Game) -> None:
    """Its rathole servers are found and replaced; ports and tokens are as before."""
    before, stray = edge.instance("srv_1"), _pid_of_server(edge)
    edge.kill()
    assert _pid_of_server(edge) == stray
    edge.start()
    wait_until(lambda: _pid_of_server(edge) != stray, within=5, saying="the stray was replaced")
    wait_until(lambda: edge.instance("srv_1") == before, within=5, saying="the instance is as before")
    game.assert_reachable()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP], ids=["worker killed", "HUP"])
def test_another_worker_takes_over(edge: Edge, game: Game, number: signal.Signals) -> None:
    """The master starts another worker; there is one rathole server again, never two side by side."""
    worker = edge.worker()
    assert edge.process is not None
    if number == signal.SIGKILL:
        worker.kill()
    else:
        edge.process.send_signal(number)
    wait_until(lambda: is_gone(worker), within=15, saying="the first worker is gone")
    wait_until(lambda: edge.instance("srv_1")["is_running"], within=15, saying="the instance is back")
    game.assert_reachable()
    assert len(edge.rathole_servers()) == 1


@pytest.mark.usefixtures("game")
def test_delete_frees_the_ports(edge: Edge) -> None:
    """Another instance can have them at once, with another token."""
    old = edge.call("GET", "/srv_1/client-config", params={"host_ip": "x"}).json()["config"]
    assert edge.call("DELETE", "/srv_1").status_code == 200
    assert edge.rathole_servers() == []
    assert edge.call("GET", "/srv_1").status_code == 404
    assert edge.call("DELETE", "/srv_1").status_code == 404
    assert edge.create("srv_1", 0, 1).status_code == 200
    assert edge.call("GET", "/srv_1/client-config", params={"host_ip": "x"}).json()["config"] != old


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
def test_a_port_of_another_program_is_refused(edge: Edge, kind: socket.SocketKind) -> None:
    """What rathole cannot bind is not granted: its client would never learn of it."""
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("0.0.0.0", edge.port(0)))
        if kind == socket.SOCK_STREAM:
            holder.listen()
        answer = edge.create("srv_1", 0, 1)
    assert answer.status_code == 409
    assert str(edge.port(0)) in answer.json()["message"]
    assert edge.create("srv_1", 0, 1).status_code == 200


def test_a_control_port_of_another_program_is_passed_over(edge: Edge) -> None:
    """The next free one is taken."""
    with socket.socket() as holder:
        holder.bind(("0.0.0.0", edge.port(6)))
        holder.listen()
        assert edge.create("srv_1", 0, 1).json()["rathole_port"] == edge.port(7)


def test_the_contracts_error_rows(edge: Edge) -> None:
    """401, 404, 409, 422 and 500 over real HTTP, each in JSON."""
    edge.create("srv_1", 0, 1)
    rows = {
        401: edge.call("GET", "/srv_1", token="wrong"),
        404: edge.call("GET", "/srv_9"),
        409: edge.create("srv_2", 0, 2),
        422: edge.create("srv_2", 2, 100),
        500: edge.create("srv_1", 0, 1),
    }
    for status, answer in rows.items():
        assert answer.status_code == status
        assert answer.json()["status"] == "error"
    assert rows[500].json()["message"] == "Instance srv_1 already exists"


def test_a_request_of_a_user_is_served(edge: Edge) -> None:
    """The edge knows RATHOLE_TOKEN and no users; the agent's own token lets a request with a user's through."""
    environ = {
        "HOST_AGENT_API_KEY": "0123456789abcdef",
        "RATHOLE_INSTANCE_MANAGER_HOST": "127.0.0.1",
        "RATHOLE_INSTANCE_MANAGER_PORT": str(edge.api_port),
        "RATHOLE_TOKEN": TOKEN,
    }
    manager = InstanceManager(load_settings(environ))
    ports = Ports(edge.port(0), edge.port(1))
    assert manager.create("srv_1", ports, "token-of-a-user").game_port == ports.game
    assert "srv_1_game_udp" in (manager.client_config("srv_1", "token-of-a-user") or "")
    manager.delete("srv_1", "token-of-a-user")
    assert edge.health()["active_instances"] == 0


@pytest.mark.usefixtures("game")
def test_secrets_stay_off_the_log(edge: Edge) -> None:
    """Neither the API token nor a service token is in the edge's log or a rathole server's."""
    edge.call("GET", "/srv_1", params={"token": TOKEN})
    config = edge.call("GET", "/srv_1/client-config", params={"host_ip": "x"}).json()["config"]
    service_token = config.split('token = "')[1].split('"')[0]
    logs = [edge.log, *(path.read_text() for path in edge.folder.rglob("server.log"))]
    assert len(logs) == 2
    for secret in (TOKEN, service_token):
        assert not any(secret in log for log in logs)
