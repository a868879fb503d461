"""Bad input: each has its status and its sentence, and changes nothing."""

import json
from io import BytesIO

import pytest

from tests.fakes.face import KEY, SERVER_ID, Face, make_face, spawn_body

SPAWN = "/api/containers/spawn"
BAD_IDS = [
    "../x",
    "..",
    ".",
    "a.b",
    "a b",
    "",
    "x",
    "a" * 64,
    "-a",
    "_a",
    "a/b",
    "a\n",
    "a\0b",
    "ä1",
    "a@b",
    "a%2f",
    5,
    True,
    None,
    [],
    {},
]
RESERVED = ["host-agent", "Satis-Host-Agent", "edge", "LOCALHOST"]
BAD_PORTS = [0, 80, 1023, 65536, -1, 10**30, "30012", 30012.0, 30012.5, True, None, [30012]]
TAKES_A_BODY = [
    SPAWN,
    "/api/containers/start",
    "/api/containers/stop",
    "/api/containers/restart",
    "/api/containers/kill",
    f"/api/rathole/clients/{SERVER_ID}/configure",
    f"/api/rathole/clients/{SERVER_ID}/start",
]


@pytest.fixture(autouse=True)
def _nothing_was_done(face: Face) -> object:
    """No test of this file may reach the inside with a change."""
    yield
    assert face.servers.changes == 0
    assert not face.servers.running


@pytest.mark.parametrize("server_id", [*BAD_IDS, *RESERVED])
@pytest.mark.parametrize("path", TAKES_A_BODY[:5])
def test_a_bad_id_in_a_body_is_422(face: Face, path: str, server_id: object) -> None:
    """Wherever a body names a server, a name that cannot be one is refused with a sentence."""
    answer = face.post(path, spawn_body(serverId=server_id))
    assert answer.status_code == 422
    assert answer.json["code"] == "invalid_server_id"
    assert answer.json["details"]["serverId"].endswith(".")


@pytest.mark.parametrize(
    "server_id", ["..", "%2e%2e", "%2e", "a.b", "a%20b", "x", "a" * 64, "a%0a", "a%00", "%ff%fe", "a@b", "%C3%A4a"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/containers/{}/status"),
        ("DELETE", "/api/containers/{}/delete"),
        ("POST", "/api/rathole/clients/{}/configure"),
        ("POST", "/api/rathole/clients/{}/start"),
        ("POST", "/api/rathole/clients/{}/stop"),
    ],
)
def test_a_bad_id_in_a_path_is_422(face: Face, method: str, path: str, server_id: str) -> None:
    """An id in a path is checked before anything else sees it."""
    answer = face.call(method, path.format(server_id))
    assert answer.status_code == 422
    assert answer.json["code"] == "invalid_server_id"
    assert face.servers.calls == 0


@pytest.mark.parametrize("server_id", ["..%2f..%2fx", "a/b", "%2fetc", "", "../.."])
def test_an_id_with_a_slash_is_no_route(face: Face, server_id: str) -> None:
    """A slash, encoded or not, never becomes part of an id."""
    assert face.get(f"/api/containers/{server_id}/status").status_code == 404
    assert face.servers.calls == 0


@pytest.mark.parametrize("name", ["manager.example", "vps", "orchestrator", "play"])
def test_the_names_of_configured_machines_are_no_ids(name: str) -> None:
    """A game of such a name would catch calls meant for that machine."""
    face = make_face(
        RATHOLE_INSTANCE_MANAGER_HOST="manager.example",
        RATHOLE_REMOTE_HOST="vps",
        ORCHESTRATOR_HOST="Orchestrator",
        RATHOLE_PUBLIC_HOST="play",
    )
    answer = face.spawn(serverId=name)
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_server_id")
    assert "serverId" in answer.json["details"]
    assert not face.servers.running


@pytest.mark.parametrize("port", BAD_PORTS)
@pytest.mark.parametrize("name", ["gamePort", "beaconPort"])
def test_a_bad_port_is_422(face: Face, name: str, port: object) -> None:
    """Ports are whole numbers from 1024 to 65535, of the right type."""
    answers = [
        face.spawn(**{name: port}),
        face.post(f"/api/rathole/clients/{SERVER_ID}/start", {"gamePort": 2000, "beaconPort": 2001, name: port}),
    ]
    for answer in answers:
        if port == 10**30:
            assert answer.status_code in {400, 422}
            continue
        assert (answer.status_code, answer.json["code"]) == (422, "invalid_fields")
        assert set(answer.json["details"]) == {name, "requestId"}


def test_equal_ports_are_422_and_both_are_named(face: Face) -> None:
    """The game needs both as TCP ports, so they must differ."""
    answers = [
        face.spawn(gamePort=30012, beaconPort=30012, environmentVariables=None),
        face.post(f"/api/rathole/clients/{SERVER_ID}/start", {"gamePort": 30012, "beaconPort": 30012}),
    ]
    for answer in answers:
        assert answer.status_code == 422
        assert set(answer.json["details"]) == {"gamePort", "beaconPort", "requestId"}
        assert "must differ" in answer.json["message"]


@pytest.mark.parametrize("name", ["serverId", "serverName", "gamePort", "beaconPort"])
def test_a_missing_field_is_named(face: Face, name: str) -> None:
    """What must be sent and was not is named, and nothing else."""
    body = spawn_body()
    del body[name]
    answer = face.post(SPAWN, body)
    assert answer.status_code == 422
    assert set(answer.json["details"]) == {name, "requestId"}


def test_all_missing_fields_are_named_at_once(face: Face) -> None:
    """Nobody has to send five requests to learn of five mistakes."""
    answer = face.post(SPAWN, {})
    assert answer.status_code == 422
    assert set(answer.json["details"]) == {"serverId", "serverName", "gamePort", "beaconPort", "requestId"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("serverName", 5),
        ("serverName", ""),
        ("serverName", "a" * 257),
        ("serverName", "two\nlines"),
        ("ramAllocation", "8"),
        ("ramAllocation", 0),
        ("ramAllocation", 1.5),
        ("cpuAllocation", True),
        ("cpuAllocation", 257),
        ("maxPlayers", 0),
        ("maxPlayers", 128),
        ("maxPlayers", "4"),
        ("serverPassword", 1234),
        ("serverPassword", "a\nb"),
        ("environmentVariables", []),
        ("environmentVariables", {"A": 1}),
        ("environmentVariables", {"a": "lower case"}),
        ("environmentVariables", {"A": "a\0b"}),
        ("environmentVariables", {"A": "x" * 4097}),
        ("environmentVariables", {f"A{n}": "" for n in range(65)}),
        ("environmentVariables", {f"A{n}": n for n in range(1000)}),
        ("environmentVariables", {"PUID": "0"}),
        ("environmentVariables", {"SERVERGAMEPORT": "1"}),
    ],
)
def test_a_field_of_a_wrong_type_or_value_is_named(face: Face, name: str, value: object) -> None:
    """The details name the field as the wire does, in a bounded answer that does not repeat what was sent."""
    answer = face.spawn(**{name: value})
    assert answer.status_code == 422
    assert set(answer.json["details"]) == {name, "requestId"}
    assert len(answer.data) < 4096


def test_a_refused_password_is_not_repeated(face: Face) -> None:
    """An answer never holds a secret that came with the request."""
    answer = face.spawn(serverPassword="marked-secret\n", gamePort="x")
    assert answer.status_code == 422
    assert "marked-secret" not in answer.text


@pytest.mark.parametrize("value", ["all", "", 5, "STOP", ["stop"]])
def test_an_unknown_cleanup_type_is_422(face: Face, value: object) -> None:
    """Nothing is removed because of a word that nobody knows."""
    answer = face.post("/api/containers/stop", {"serverId": SERVER_ID, "cleanupType": value})
    assert answer.status_code == 422
    assert set(answer.json["details"]) == {"cleanupType", "requestId"}


def test_configure_refuses_two_ids(face: Face) -> None:
    """A body that names another server than the path is a mistake, and nobody guesses which one was meant."""
    answer = face.post(f"/api/rathole/clients/{SERVER_ID}/configure", {"serverId": "srv_other", "clientConfig": ""})
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_server_id")
    assert "serverId" in answer.json["details"]


@pytest.mark.parametrize("path", TAKES_A_BODY)
@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"{'a': 1}", b"hello", b"\xff\xfe", b'{"a": "\\ud800"}', b"[" * 100_000, b'{"a": 1} x'],
)
def test_what_is_not_json_is_400(face: Face, path: str, data: bytes) -> None:
    """Half JSON, other text, bad UTF-8 and endless nesting are malformed."""
    answer = face.call("POST", path, data=data, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, "malformed_json")


@pytest.mark.parametrize("path", TAKES_A_BODY)
@pytest.mark.parametrize("data", [b"[]", b"null", b'"text"', b"5"])
def test_json_that_is_no_object_is_422(face: Face, path: str, data: bytes) -> None:
    """A body is an object."""
    answer = face.call("POST", path, data=data, content_type="application/json")
    assert answer.status_code == 422
    assert set(answer.json["details"]) == {"body", "requestId"}


@pytest.mark.parametrize("path", TAKES_A_BODY)
@pytest.mark.parametrize(
    "content_type", [None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_another_content_type_is_415(face: Face, path: str, content_type: str | None) -> None:
    """JSON under another name is refused, so that a browser's form can never be a command."""
    answer = face.call("POST", path, data=json.dumps(spawn_body()), content_type=content_type)
    assert (answer.status_code, answer.json["code"]) == (415, "not_json")


@pytest.mark.parametrize("path", TAKES_A_BODY)
def test_two_mebibytes_of_json_are_413(face: Face, path: str) -> None:
    """A body over 1 MiB is not read."""
    answer = face.post(path, spawn_body(serverName="x" * 2 * 1024 * 1024))
    assert (answer.status_code, answer.json["code"]) == (413, "body_too_large")


def test_a_body_without_a_length_is_limited_too(face: Face) -> None:
    """A body in chunks, whose length nobody knows beforehand, ends at 1 MiB all the same."""
    endless = BytesIO(b'{"serverName": "' + b"x" * 2 * 1024 * 1024)
    answer = face.stranger.post(
        SPAWN,
        input_stream=endless,
        headers={"X-API-Key": KEY, "Transfer-Encoding": "chunked"},
        content_type="application/json",
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == 413
    assert endless.tell() <= 1024 * 1024 + 65536
