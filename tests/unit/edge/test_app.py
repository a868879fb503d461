"""The edge's HTTP API: the contract's rows, authentication and bad input."""

import json
import tomllib
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from edge.app import create_app
from edge.manager import InstanceManager
from tests.unit.edge.conftest import TOKEN, Rig

HEADERS = {"X-API-Token": TOKEN}
BODY = {"server_id": "srv_1", "game_port": 30000, "query_port": 30001}
PUBLIC = {
    "server_id": "srv_1",
    "rathole_port": 20000,
    "tunnel_game_tcp_port": 30000,
    "tunnel_game_udp_port": 30000,
    "tunnel_query_port": 30001,
    "public_connection_info": {
        "game_tcp_address": "play.example.org:30000",
        "game_udp_address": "play.example.org:30000",
        "query_address": "play.example.org:30001",
    },
}
STATE = {"game_port": 30000, "query_port": 30001, "is_running": True}


@pytest.fixture
def manager(rig: Rig) -> InstanceManager:
    """Return the manager behind the API."""
    return rig.manager()


@pytest.fixture
def client(manager: InstanceManager, rig: Rig) -> FlaskClient:
    """Return a caller of the API."""
    app = create_app(manager, token=rig.settings.rathole_token, public_host=rig.settings.edge_public_host)
    return app.test_client()


def _post(client: FlaskClient, body: object, **headers: str) -> TestResponse:
    return client.post(
        "/api/instances", data=json.dumps(body), content_type="application/json", headers=headers or HEADERS
    )


def _assert_error(answer: TestResponse, status: int, words: str = "") -> None:
    assert answer.status_code == status, answer.text
    assert answer.is_json
    assert set(answer.json or {}) == {"status", "code", "message"}
    assert (answer.json or {})["status"] == "error"
    assert words in (answer.json or {})["message"]


def test_create_answers_as_the_contract_says(client: FlaskClient) -> None:
    """All fields, no others."""
    answer = _post(client, BODY)
    assert (answer.status_code, answer.json) == (200, {"status": "success", **PUBLIC})


@pytest.mark.parametrize(
    "ports",
    [{"beacon_port": 30001}, {"beacon_port": 30001, "query_port": 30001}],
    ids=["first generation", "both"],
)
def test_beacon_port_is_accepted(client: FlaskClient, ports: dict[str, int]) -> None:
    """Agents send the name of either generation, or both."""
    answer = _post(client, {"server_id": "srv_1", "game_port": 30000, **ports, "user": "u"})
    assert (answer.status_code, answer.json) == (200, {"status": "success", **PUBLIC})


def test_query_port_and_beacon_port_that_differ_are_refused(client: FlaskClient) -> None:
    """One port has two names; two values for it are a mistake of the caller."""
    _assert_error(_post(client, {**BODY, "beacon_port": 30002}), 422, "beacon_port")


def test_get_answers_the_same_and_the_state(client: FlaskClient) -> None:
    """The instance with its ports, and whether its rathole runs."""
    _post(client, BODY)
    answer = client.get("/api/instances/srv_1", headers=HEADERS)
    assert answer.json == {"status": "success", "instance": {**PUBLIC, **STATE}}


def test_client_config(client: FlaskClient) -> None:
    """The text is a client.toml whose addresses begin with host_ip."""
    _post(client, BODY)
    answer = client.get("/api/instances/srv_1/client-config?host_ip=game.local", headers=HEADERS)
    body = answer.json or {}
    assert {key: body[key] for key in ("status", "server_id", "host_ip")} == {
        "status": "success",
        "server_id": "srv_1",
        "host_ip": "game.local",
    }
    services = tomllib.loads(body["config"])["client"]["services"]
    assert {s["local_addr"].partition(":")[0] for s in services.values()} == {"game.local"}


@pytest.mark.parametrize("query", ["", "?host_ip=", "?host_ip=a%0Ab", "?host_ip=a:1", "?host_ip=-x"])
def test_client_config_wants_a_host(client: FlaskClient, query: str) -> None:
    """Without a usable host_ip the file would name nobody."""
    _post(client, BODY)
    _assert_error(client.get(f"/api/instances/srv_1/client-config{query}", headers=HEADERS), 422, "host_ip")


def test_delete_and_delete_again(client: FlaskClient) -> None:
    """The first succeeds, the second says that it is not there."""
    _post(client, BODY)
    assert client.delete("/api/instances/srv_1", headers=HEADERS).status_code == 200
    _assert_error(client.delete("/api/instances/srv_1", headers=HEADERS), 404, "no instance srv_1")


@pytest.mark.parametrize("path", ["/api/instances/srv_9", "/api/instances/srv_9/client-config?host_ip=x"])
def test_unknown_instances_are_404(client: FlaskClient, path: str) -> None:
    """The agent tells "not there" from "failed" by the status."""
    _assert_error(client.get(path, headers=HEADERS), 404, "srv_9")


def test_an_existing_id_is_500_in_the_known_words(client: FlaskClient) -> None:
    """As the deployed manager answers."""
    _post(client, BODY)
    _assert_error(_post(client, BODY), 500, "Instance srv_1 already exists")


def test_taken_and_held_ports_are_409(client: FlaskClient, rig: Rig) -> None:
    """The sentence names the port."""
    _post(client, BODY)
    _assert_error(_post(client, {**BODY, "server_id": "srv_2"}), 409, "Port 30000")
    rig.held_ports.add(30004)
    body = {"server_id": "srv_3", "game_port": 30004, "query_port": 30005}
    _assert_error(_post(client, body), 409, "Port 30004")


def test_no_control_port_left_is_500(client: FlaskClient) -> None:
    """Three control ports, so the fourth instance is refused with the way out."""
    for number in range(3):
        first = 30000 + 2 * number
        body = {"server_id": f"srv_{number}", "game_port": first, "query_port": first + 1}
        assert _post(client, body).status_code == 200
    body = {"server_id": "srv_9", "game_port": 30006, "query_port": 30007}
    _assert_error(_post(client, body), 500, "EDGE_CONTROL_PORTS")


WRONG_BODIES: dict[str, object] = {
    "no object": [],
    "null": None,
    "empty": {},
    "no id": {"game_port": 30000, "query_port": 30001},
    "id a number": {**BODY, "server_id": 7},
    "id null": {**BODY, "server_id": None},
    "id a path": {**BODY, "server_id": "../x"},
    "id with a newline": {**BODY, "server_id": "srv_1\n"},
    "id with a dot": {**BODY, "server_id": "srv.1"},
    "id empty": {**BODY, "server_id": ""},
    "id of 64 characters": {**BODY, "server_id": "x" * 64},
    "id a surrogate": {**BODY, "server_id": "\ud800\ud800"},
    "id reserved": {**BODY, "server_id": "localhost"},
    "no game port": {"server_id": "srv_1", "query_port": 30001},
    "no query port": {"server_id": "srv_1", "game_port": 30000},
    "port a string": {**BODY, "game_port": "30000"},
    "port a float": {**BODY, "game_port": 30000.0},
    "port true": {**BODY, "game_port": True},
    "port null": {**BODY, "query_port": None},
    "port 0": {**BODY, "query_port": 0},
    "port 80": {**BODY, "query_port": 80},
    "port 65536": {**BODY, "query_port": 65536},
    "port negative": {**BODY, "query_port": -30001},
    "port huge": {**BODY, "query_port": 10**30},
    "port not published": {**BODY, "game_port": 31000},
    "ports equal": {**BODY, "query_port": 30000},
}


@pytest.mark.parametrize("name", WRONG_BODIES)
def test_wrong_fields_are_422_and_leave_nothing(client: FlaskClient, rig: Rig, name: str) -> None:
    """Each wrong value has its sentence, and makes no instance and no file."""
    _assert_error(_post(client, WRONG_BODIES[name]), 422)
    assert client.get("/health").json == {"status": "healthy", "active_instances": 0}
    assert not rig.settings.edge_data_dir.exists()


@pytest.mark.parametrize(
    ("data", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 500_000, "application/json", 400),
        (b"1" * 10_000, "application/json", 400),
        (json.dumps(BODY).encode(), "text/plain", 415),
        (b'"' + b"x" * 2 * 1024 * 1024 + b'"', "application/json", 413),
    ],
    ids=["empty", "cut off", "not UTF-8", "nested", "digits", "not declared", "too large"],
)
def test_what_is_not_json_is_refused(client: FlaskClient, data: bytes, content_type: str, status: int) -> None:
    """Malformed, undeclared and oversized bodies have their own statuses, always in JSON."""
    _assert_error(client.post("/api/instances", data=data, content_type=content_type, headers=HEADERS), status)


@pytest.mark.parametrize("server_id", ["a", "a.b", "x" * 64, "%0A", "localhost", "..%2F..", "."])
def test_wrong_ids_in_a_path_are_refused(client: FlaskClient, server_id: str) -> None:
    """No id reaches the disk unchecked, whatever the method."""
    for method in ("GET", "DELETE"):
        answer = client.open(f"/api/instances/{server_id}", method=method, headers=HEADERS)
        assert answer.status_code in {404, 405, 422}
        assert answer.is_json


def test_unknown_paths_and_methods_are_json(client: FlaskClient) -> None:
    """An error page would be read as a broken manager."""
    _assert_error(client.get("/nowhere", headers=HEADERS), 404)
    _assert_error(client.put("/api/instances", headers=HEADERS), 405)


def test_a_bug_is_json_and_tells_nothing(
    client: FlaskClient, manager: InstanceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unforeseen error is a plain 500; its details are for the log."""

    def explode(_server_id: str) -> None:
        raise ValueError("secret detail")

    monkeypatch.setattr(manager, "find", explode)
    answer = client.get("/api/instances/srv_1", headers=HEADERS)
    _assert_error(answer, 500)
    assert "secret detail" not in answer.text


def test_health_is_open(client: FlaskClient) -> None:
    """It needs no token and counts the instances."""
    _post(client, BODY)
    assert client.get("/health").json == {"status": "healthy", "active_instances": 1}


CREDENTIALS: dict[str, Callable[[FlaskClient, str], TestResponse]] = {
    "bearer": lambda c, t: c.get("/api/instances/srv_1", headers={"Authorization": f"Bearer {t}"}),
    "bearer in lower case": lambda c, t: c.get("/api/instances/srv_1", headers={"Authorization": f"bearer {t}"}),
    "header": lambda c, t: c.get("/api/instances/srv_1", headers={"X-API-Token": t}),
    "query": lambda c, t: c.get("/api/instances/srv_1", query_string={"token": t}),
    "query of a delete": lambda c, t: c.delete("/api/instances/srv_1", query_string={"token": t}),
    "body": lambda c, t: c.post("/api/instances", json={**BODY, "server_id": "srv_2", "token": t}),
}


@pytest.mark.parametrize("way", CREDENTIALS)
def test_every_way_of_agents_in_the_field_is_let_in(client: FlaskClient, way: str) -> None:
    """The right token counts in the header of either name, in the query and in the body."""
    _post(client, BODY)
    assert CREDENTIALS[way](client, TOKEN).status_code in {200, 409}


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], f"{TOKEN}x", TOKEN.upper(), "té"])
@pytest.mark.parametrize("way", CREDENTIALS)
def test_wrong_tokens_are_401(client: FlaskClient, way: str, token: str) -> None:
    """Nothing but the very token is let in, and the answer does not repeat what was tried."""
    _assert_error(CREDENTIALS[way](client, token), 401, "RATHOLE_TOKEN")


@pytest.mark.parametrize(
    "body", [None, [], [TOKEN], {"token": 7}, {"token": None}, {"token": [TOKEN]}, {"token": "\ud800"}]
)
def test_odd_tokens_in_a_body_are_401(client: FlaskClient, body: object) -> None:
    """A body may be any JSON; only a text at `token` can be one."""
    _assert_error(client.post("/api/instances", json=body), 401)


def test_without_a_token_nothing_is_told(client: FlaskClient) -> None:
    """Unknown paths, unknown ids and wrong methods all look alike from outside."""
    _post(client, BODY)
    for path in ("/nowhere", "/api/instances/srv_1", "/api/instances/srv_9", "/api/instances"):
        _assert_error(client.get(path), 401)


def test_a_user_token_does_not_spoil_the_managers(client: FlaskClient) -> None:
    """A bearer of somebody else beside the right header is no reason to refuse."""
    _post(client, BODY)
    headers = {**HEADERS, "Authorization": "Bearer a.users.jwt"}
    assert client.get("/api/instances/srv_1", headers=headers).status_code == 200


def test_another_token_is_another_edges(manager: InstanceManager) -> None:
    """The token is the one that the app was given."""
    app = create_app(manager, token=SecretStr("another-token-16"), public_host="x")
    _assert_error(app.test_client().get("/api/instances/srv_1", headers=HEADERS), 401)
