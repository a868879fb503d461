"""The agent's API as the orchestrator in the field reads it: the tunnels and the node."""

from dataclasses import replace
from datetime import datetime

import pytest

from core.errors import StoreFailed
from core.models import Phase, TunnelReason, TunnelState
from provisioning.loops import LoopHealth
from tests.fakes.face import SERVER_ID, Face, make_face

OTHER = "srv_42_00000002"


@pytest.fixture
def face() -> Face:
    """An API with one server."""
    face = make_face()
    face.spawn()
    return face


def test_clients_by_server_id(face: Face) -> None:
    """The keys are the earlier agent's, in its spelling."""
    body = face.get("/api/rathole/clients").json
    assert body["status"] == "success"
    assert set(body["clients"]) == {SERVER_ID}
    client = body["clients"][SERVER_ID]
    assert set(client) == {"config_path", "game_port", "beacon_port", "started_at", "is_running", "pid"}
    assert (client["is_running"], client["pid"], client["game_port"]) == (True, 4711, 40012)
    face.post(f"/api/rathole/clients/{SERVER_ID}/stop")
    stopped = face.get("/api/rathole/clients").json["clients"][SERVER_ID]
    assert (stopped["is_running"], stopped["pid"], stopped["started_at"]) == (False, None, None)


def test_a_tunnel_is_configured_started_and_stopped(face: Face) -> None:
    """The three calls of `rathole/clients`, each with its effect."""
    base = f"/api/rathole/clients/{SERVER_ID}"
    configured = face.post(f"{base}/configure", {"serverId": SERVER_ID, "clientConfig": "[client]\n"})
    assert (configured.status_code, configured.json["status"]) == (200, "success")
    assert face.servers.configs == {SERVER_ID: "[client]\n"}
    assert face.post(f"{base}/stop").status_code == 200
    assert face.servers.running[SERVER_ID].tunnel.state is TunnelState.STOPPED
    started = face.post(f"{base}/start", {"gamePort": 30012, "beaconPort": 30013, "serverName": "x"})
    assert (started.status_code, started.json["status"]) == (200, "success")
    assert face.servers.running[SERVER_ID].tunnel.state is TunnelState.UP


NO_TUNNELS = "No instance manager is set, so there is no tunnel."
REFUSED = "The instance manager at http://vps:7001 refuses the agent's token; set ACCESS_TOKEN."


@pytest.mark.parametrize(
    ("state", "reason", "sentence"),
    [(TunnelState.BACKOFF, TunnelReason.AUTH_REFUSED, REFUSED), (TunnelState.STOPPED, None, NO_TUNNELS)],
)
def test_the_start_of_a_tunnel_says_how_far_it_is(
    face: Face, monkeypatch: pytest.MonkeyPatch, state: TunnelState, reason: TunnelReason | None, sentence: str
) -> None:
    """Where the manager refuses, or there is none, the wish stands and nobody is told that players get in."""
    view = face.servers.running[SERVER_ID]
    refused = replace(view, tunnel=replace(view.tunnel, state=state, reason=reason, message=sentence))
    monkeypatch.setattr(face.servers, "start_tunnel", lambda *_: face.servers.running.update({SERVER_ID: refused}))
    answer = face.post(f"/api/rathole/clients/{SERVER_ID}/start", {"gamePort": 30012, "beaconPort": 30013})
    assert (answer.status_code, answer.json["status"]) == (200, "success")
    assert answer.json["message"] == f"The tunnel of server {SERVER_ID} is {state}: {sentence}"


def test_start_says_how_the_tunnel_is_as_spawn_does(face: Face) -> None:
    """The game runs, so it is a success; who reads on learns that no player gets in yet, and why."""
    sentence = "The instance manager at http://vps:7001 cannot be reached."
    view = face.servers.running[SERVER_ID]
    away = replace(view.tunnel, state=TunnelState.BACKOFF, reason=TunnelReason.MANAGER_UNREACHABLE, message=sentence)
    face.servers.running[SERVER_ID] = replace(view, tunnel=away)
    started = face.post("/api/containers/start", {"serverId": SERVER_ID})
    assert (started.status_code, started.json["status"]) == (200, "success")
    assert f"is starting, its tunnel backoff. {sentence} Players connect to" in started.json["message"]
    assert face.spawn().json["message"] == started.json["message"]


def test_a_config_that_is_refused_is_422_with_its_sentence(face: Face) -> None:
    """A text that would make the agent a rathole server is not accepted."""
    answer = face.post(f"/api/rathole/clients/{SERVER_ID}/configure", {"clientConfig": "[server]"})
    assert (answer.status_code, answer.json["code"]) == (422, "config_refused")
    assert not face.servers.configs


def test_stats(face: Face) -> None:
    """Percentages are floats and never null; running servers are listed by id."""
    face.spawn(serverId=OTHER, gamePort=30020, beaconPort=30021, environmentVariables=None)
    face.post("/api/containers/kill", {"serverId": OTHER})
    body = face.get("/api/stats").json
    assert _is_time(body.pop("timestamp"))
    assert body == {
        "nodeId": "node-1",
        "cpuUsage": 12.5,
        "memoryUsage": 40.0,
        "diskUsage": 7.25,
        "containerCount": 2,
        "runningContainers": [SERVER_ID],
        "crashedServers": [],
    }


def test_stats_name_the_servers_that_were_given_up(face: Face) -> None:
    """The orchestrator hears of a crashed server with the next heartbeat, whose body this is."""
    face.servers.running[SERVER_ID] = replace(face.servers.running[SERVER_ID], phase=Phase.CRASHED)
    assert face.get("/api/stats").json["crashedServers"] == [SERVER_ID]


@pytest.mark.parametrize("path", ["/api/health", "/health"])
def test_health(face: Face, path: str) -> None:
    """Both spellings answer who is there and when."""
    body = face.stranger.get(path).json
    assert _is_time(body.pop("timestamp"))
    assert body == {"status": "healthy", "nodeId": "node-1"}


def test_healthz_names_the_loops_that_are_stuck(face: Face) -> None:
    """A loop whose last pass is too long ago makes the agent unhealthy."""
    face.runtime.loops = {
        "reconciler": LoopHealth(exists=True, alive=True, id=1, age=0.1),
        "heartbeat": LoopHealth(exists=True, alive=True, id=2, age=0.1),
    }
    assert face.stranger.get("/healthz").status_code == 200
    face.runtime.loops["heartbeat"] = LoopHealth(exists=True, alive=False, id=2, age=900.0)
    answer = face.stranger.get("/healthz")
    assert (answer.status_code, answer.json["code"]) == (503, "loops_stuck")
    assert answer.json["details"]["loops"] == ["heartbeat"]
    assert "heartbeat" in answer.json["message"]


def test_readyz_says_what_is_missing(face: Face) -> None:
    """503 with the sentence while the agent cannot work, 200 when it can."""
    face.runtime.fault = StoreFailed("store_damaged", "The store is damaged: run `agent.py recover`.")
    answer = face.stranger.get("/readyz")
    assert (answer.status_code, answer.json["message"]) == (503, "The store is damaged: run `agent.py recover`.")
    face.runtime.fault = None
    assert face.stranger.get("/readyz").status_code == 200


def _is_time(text: str) -> bool:
    return datetime.fromisoformat(text).utcoffset() is not None
