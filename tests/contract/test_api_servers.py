"""The agent's API as the orchestrator in the field reads it, field by field: the servers."""

from dataclasses import replace
from datetime import datetime

import pytest

from core.models import OperationKind, OperationStatus, Phase, TunnelState
from core.operations import Operation
from provisioning.crashes import Crash
from tests.fakes.face import SERVER_ID, Face, make_face
from tests.fakes.servers import PUBLIC_SHIFT

OTHER = "srv_42_00000002"


@pytest.fixture
def face() -> Face:
    """An API with one server."""
    face = make_face()
    face.spawn()
    return face


def _status(face: Face) -> dict[str, object]:
    answer = face.get(f"/api/containers/{SERVER_ID}/status")
    assert answer.status_code == 200
    return answer.json


def test_spawn_answers_the_requested_ports_and_the_players_address() -> None:
    """The orchestrator keeps the ports that it gave; players type `agent.publicAddress`."""
    answer = make_face().spawn()
    assert answer.status_code == 200
    body = answer.json
    assert {name: body[name] for name in ("status", "containerId", "serverId", "gamePort", "beaconPort")} == {
        "status": "success",
        "containerId": "c0ffee",
        "serverId": SERVER_ID,
        "gamePort": 30012,
        "beaconPort": 30013,
    }
    assert body["agent"]["publicAddress"] == "play.example.org:40012"
    assert body["agent"]["tunnel"]["state"] == "up"
    assert "play.example.org:40012" in body["message"]


def test_the_same_spawn_again_is_the_same_answer(face: Face) -> None:
    """A caller that repeats itself gets the server that is there."""
    answer = face.spawn()
    assert (answer.status_code, answer.json["containerId"]) == (200, "c0ffee")
    assert face.servers.changes == 1


@pytest.mark.parametrize("phase", [Phase.STOPPED, Phase.PROVISIONING])
def test_spawn_never_answers_a_null_container_id(face: Face, phase: Phase) -> None:
    """Where there is no container now its name stands for it: Docker takes both."""
    face.servers.running[SERVER_ID] = replace(face.servers.running[SERVER_ID], container=None, phase=phase)
    assert face.spawn().json["containerId"] == SERVER_ID


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"gamePort": 30020, "environmentVariables": None}, "server_exists"),
        ({"serverId": SERVER_ID.upper()}, "server_exists"),
        ({"serverId": OTHER}, "port_in_use"),
        ({"serverId": OTHER, "gamePort": 30013, "beaconPort": 30014, "environmentVariables": None}, "port_in_use"),
    ],
)
def test_a_spawn_that_contradicts_what_is_there_is_409(face: Face, changes: dict[str, object], code: str) -> None:
    """Another spec under the id, an id that differs in case only, a port of another server: nothing is done."""
    answer = face.spawn(**changes)
    assert (answer.status_code, answer.json["code"]) == (409, code)
    assert list(face.servers.running) == [SERVER_ID]
    assert face.servers.changes == 1


def test_status_is_dockers_word_with_the_public_ports(face: Face) -> None:
    """The orchestrator lays the answer over its record, so the ports are those that players use."""
    body = _status(face)
    assert (body["serverId"], body["status"], body["containerId"]) == (SERVER_ID, "running", "c0ffee")
    assert (body["gamePort"], body["beaconPort"]) == (30012 + PUBLIC_SHIFT, 30013 + PUBLIC_SHIFT)
    assert body["created"]
    assert body["info"]["image"].startswith("wolveix/")
    agent = body["agent"]
    assert agent["requestedPorts"] == {"gamePort": 30012, "beaconPort": 30013}
    assert agent["phase"] == "starting"
    assert agent["publicAddress"] == "play.example.org:40012"


def test_status_shows_nothing_over_the_orchestrators_own_fields(face: Face) -> None:
    """Everything of ours stands under `agent`, or it would overwrite a field of the record."""
    assert set(_status(face)) == {
        *("serverId", "status", "containerId", "created", "info", "gamePort", "beaconPort", "agent"),
    }


@pytest.mark.parametrize("word", ["created", "running", "paused", "restarting", "removing", "exited", "dead"])
def test_every_word_of_docker_goes_out_as_it_is(face: Face, word: str) -> None:
    """`running` makes the server RUNNING there, `exited` and `dead` make it ERROR."""
    view = face.servers.running[SERVER_ID]
    assert view.container
    face.servers.running[SERVER_ID] = replace(view, container=replace(view.container, status=word))
    assert _status(face)["status"] == word


@pytest.mark.parametrize(
    ("phase", "word"),
    [
        (Phase.PROVISIONING, "created"),
        (Phase.STARTING, "created"),
        (Phase.DELETING, "removing"),
        (Phase.STOPPED, "exited"),
        (Phase.STOPPED_EXTERNALLY, "exited"),
        (Phase.CRASHED, "exited"),
        (Phase.FAILED, "exited"),
    ],
)
def test_a_server_without_a_container_has_a_word_of_docker_too(face: Face, phase: Phase, word: str) -> None:
    """The orchestrator reads no other words: what is about to run is `created`, what does not run `exited`."""
    face.servers.running[SERVER_ID] = replace(face.servers.running[SERVER_ID], container=None, phase=phase)
    body = _status(face)
    assert (body["status"], body["containerId"], body["created"], body["info"]) == (word, None, None, {})


def test_status_tells_of_the_operation_and_of_the_tunnel(face: Face) -> None:
    """What is under way, and what each service does, is there to be read."""
    operation = Operation(
        operation_id="0017",
        server_id=SERVER_ID,
        kind=OperationKind.PROVISION,
        status=OperationStatus.FAILED,
        force=False,
        step="compose_up",
        save=None,
        started_at="2026-01-31T12:00:00.000Z",
        ended_at="2026-01-31T12:00:09.000Z",
        error_code="image_missing",
        error_message="The image cannot be pulled.",
    )
    face.servers.running[SERVER_ID] = replace(face.servers.running[SERVER_ID], operation=operation)
    agent = _status(face)["agent"]
    assert agent["operation"] == {
        "id": "0017",
        "kind": "provision",
        "status": "failed",
        "step": "compose_up",
        "startedAt": "2026-01-31T12:00:00.000Z",
        "endedAt": "2026-01-31T12:00:09.000Z",
        "errorCode": "image_missing",
        "errorMessage": "The image cannot be pulled.",
    } | {"saved": None, "file": None, "seconds": None}
    assert agent["tunnel"]["services"]["game"]["state"] == "up"
    assert agent["tunnel"]["services"]["game"]["reconnects"] == 0


def test_no_answer_holds_the_password(face: Face) -> None:
    """The server's password goes in and never out."""
    answers = [face.spawn(), *(face.get(p) for p in ("/api/containers", f"/api/containers/{SERVER_ID}/status"))]
    assert all("pass$word" not in answer.text for answer in answers)


def test_all_servers_have_the_shape_of_status(face: Face) -> None:
    """`GET /api/containers` is `status` of each, as of the oldest observation."""
    face.spawn(serverId=OTHER, gamePort=30020, beaconPort=30021, environmentVariables=None)
    oldest = "2026-01-01T00:00:00.000Z"
    face.servers.running[OTHER] = replace(face.servers.running[OTHER], observed_at=oldest)
    body = face.get("/api/containers").json
    assert body["status"] == "success"
    assert [entry["serverId"] for entry in body["containers"]] == [SERVER_ID, OTHER]
    assert body["containers"][0] == _status(face)
    assert body["observedAt"] == oldest


def test_containers_of_nobody_are_named(face: Face) -> None:
    """What carries the games' label and is no server of ours is reported, not hidden."""
    (dangling,) = face.get("/api/containers").json["dangling"]
    assert (dangling["name"], dangling["containerId"], dangling["status"]) == ("srv", "c0ffee", "exited")


def test_a_crash_is_told_with_the_end_of_the_log(face: Face) -> None:
    """Whoever finds a game given up reads why without a login on the host; Docker's word stays what it is."""
    crash = Crash("2026-01-01T00:00:00.000Z", "died_too_often", "The game died 5 times.", ("one", "two"))
    assert _status(face)["agent"]["lastCrash"] is None
    view = face.servers.running[SERVER_ID]
    face.servers.running[SERVER_ID] = replace(view, phase=Phase.CRASHED, reason=crash.reason, last_crash=crash)
    assert _status(face)["status"] == "running"
    assert _status(face)["agent"]["phase"] == "crashed"
    assert _status(face)["agent"]["lastCrash"] == {
        "at": "2026-01-01T00:00:00.000Z",
        "reason": "died_too_often",
        "message": "The game died 5 times.",
        "log": ["one", "two"],
    }


def test_observed_at_is_null_before_docker_was_seen(face: Face) -> None:
    """Nothing pretends to have been observed."""
    face.servers.running[SERVER_ID] = replace(face.servers.running[SERVER_ID], observed_at=None)
    assert face.get("/api/containers").json["observedAt"] is None
    assert _status(face)["agent"]["observedAt"] is None


def test_no_servers_is_an_empty_list() -> None:
    """An agent that has just been set up answers too."""
    body = make_face().get("/api/containers").json
    assert body["containers"] == []
    assert _is_time(body["observedAt"])


@pytest.mark.parametrize("action", ["start", "restart", "kill"])
def test_actions_answer_success_and_a_sentence(face: Face, action: str) -> None:
    """The orchestrator reads the HTTP status; people read the sentence."""
    answer = face.post(f"/api/containers/{action}", {"serverId": SERVER_ID})
    assert answer.status_code == 200
    assert answer.json["status"] == "success"
    assert SERVER_ID in answer.json["message"]
    assert face.servers.running[SERVER_ID].phase is (Phase.STOPPED if action == "kill" else Phase.STARTING)


def test_stop_all_stops_the_games_and_keeps_the_servers(face: Face) -> None:
    """Before the agent is taken down every game is stopped, and nothing that is wanted changes."""
    assert face.post("/api/containers/stop-all").json["status"] == "success"
    assert (_status(face)["status"], face.servers.running[SERVER_ID].phase) == ("exited", Phase.STARTING)


@pytest.mark.parametrize("cleanup", [{}, {"cleanupType": None}, {"cleanupType": "stop"}])
def test_stop_keeps_the_server_by_default(face: Face, cleanup: dict[str, object]) -> None:
    """Container and tunnel go down, the server stays."""
    answer = face.post("/api/containers/stop", {"serverId": SERVER_ID, **cleanup})
    assert (answer.status_code, answer.json["status"]) == (200, "success")
    assert face.servers.running[SERVER_ID].phase is Phase.STOPPED


def test_stop_can_delete(face: Face) -> None:
    """`cleanupType: delete` removes everything."""
    assert face.post("/api/containers/stop", {"serverId": SERVER_ID, "cleanupType": "delete"}).status_code == 200
    assert not face.servers.running


def test_stop_can_take_the_tunnel_only(face: Face) -> None:
    """`cleanupType: rathole` leaves the game alone."""
    assert face.post("/api/containers/stop", {"serverId": SERVER_ID, "cleanupType": "rathole"}).status_code == 200
    view = face.servers.running[SERVER_ID]
    assert (view.phase, view.tunnel.state) == (Phase.STARTING, TunnelState.STOPPED)


def test_delete_and_what_follows_it(face: Face) -> None:
    """After `delete` the orchestrator calls `clients/<id>/stop` for the server that is gone, and expects success."""
    calls = [("DELETE", f"/api/containers/{SERVER_ID}/delete"), ("POST", f"/api/rathole/clients/{SERVER_ID}/stop")]
    for method, path in calls:
        answer = face.call(method, path)
        assert (answer.status_code, answer.json["status"]) == (200, "success")
        assert answer.json["message"]
    assert not face.servers.running


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", f"/api/containers/{OTHER}/delete", None),
        ("POST", "/api/containers/stop", {"serverId": OTHER}),
        ("POST", "/api/containers/stop", {"serverId": OTHER, "cleanupType": "delete"}),
        ("POST", "/api/containers/stop", {"serverId": OTHER, "cleanupType": "rathole"}),
        ("POST", f"/api/rathole/clients/{OTHER}/stop", None),
    ],
)
def test_what_shall_not_be_there_and_is_not_is_a_success(
    face: Face, method: str, path: str, body: dict[str, object] | None
) -> None:
    """An unknown id is 200 where something shall go; the sentence tells whoever has mistyped it."""
    answer = face.call(method, path, json=body)
    assert (answer.status_code, answer.json["status"]) == (200, "success")
    assert answer.json["message"] == f"There is no server {OTHER} on this host; nothing is to be done."


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/containers/start", {"serverId": OTHER}),
        ("POST", "/api/containers/restart", {"serverId": OTHER}),
        ("POST", "/api/containers/kill", {"serverId": OTHER}),
        ("GET", f"/api/containers/{OTHER}/status", None),
        ("POST", f"/api/rathole/clients/{OTHER}/configure", {"clientConfig": ""}),
        ("POST", f"/api/rathole/clients/{OTHER}/start", {"gamePort": 30012, "beaconPort": 30013}),
    ],
)
def test_what_shall_be_there_and_is_not_is_404(
    face: Face, method: str, path: str, body: dict[str, object] | None
) -> None:
    """An unknown id is 404 where something shall be done with it."""
    answer = face.call(method, path, json=body)
    assert (answer.status_code, answer.json["code"]) == (404, "unknown_server")
    assert OTHER in answer.json["message"]


def _is_time(text: str) -> bool:
    return datetime.fromisoformat(text).utcoffset() is not None
