"""What an orchestrator may send: everything that its users type, and more than the agent asks for."""

import pytest

from core.models import Ports
from tests.fakes.face import SERVER_ID, Face, spawn_body


def test_the_request_arrives_as_it_was_sent(face: Face) -> None:
    """Names and passwords are any text, and no field is lost or changed."""
    face.spawn(serverName="Ünïcode 工場 🏭 $HOME #1: 'x'", serverPassword='pa$$ "wörd" ${KEY}')
    spec = face.servers.running[SERVER_ID].spec
    assert spec.server_name == "Ünïcode 工場 🏭 $HOME #1: 'x'"
    assert spec.server_password is not None
    assert spec.server_password.get_secret_value() == 'pa$$ "wörd" ${KEY}'
    assert (spec.ports, spec.ram_allocation, spec.cpu_allocation, spec.max_players) == (Ports(30012, 30013), 8, 2, 8)
    assert spec.environment_variables == {"SERVERGAMEPORT": "30012", "PUID": "1000"}


@pytest.mark.parametrize("name", ["ramAllocation", "cpuAllocation", "serverPassword", "environmentVariables"])
@pytest.mark.parametrize("absent", [True, False])
def test_what_may_be_null_may_be_absent(face: Face, name: str, *, absent: bool) -> None:
    """Optional fields come as null or not at all."""
    body = spawn_body(**{name: None})
    if absent:
        del body[name]
    assert face.post("/api/containers/spawn", body).status_code == 200
    assert len(face.servers.running) == 1


def test_unknown_fields_are_ignored(face: Face) -> None:
    """A newer orchestrator may send more."""
    face.spawn(nodeId="node-1", status="STARTING")
    bodies = {
        "/api/containers/start": {"serverId": SERVER_ID, "more": 1},
        f"/api/rathole/clients/{SERVER_ID}/start": {
            "gamePort": 2000,
            "beaconPort": 2001,
            "serverName": 5,
            "serverId": 7,
        },
        f"/api/rathole/clients/{SERVER_ID}/configure": {"clientConfig": "", "more": None},
    }
    assert [face.post(path, body).status_code for path, body in bodies.items()] == [200] * 3


@pytest.mark.parametrize("server_id", ["ab", "srv_42_1a2b3c4d", "SRV_Ab-C", "0a", "a" * 63])
def test_good_ids_pass(face: Face, server_id: str) -> None:
    """Upper case, digits, '_' and '-', up to 63 characters."""
    assert face.spawn(serverId=server_id).json["serverId"] == server_id
    assert face.get(f"/api/containers/{server_id}/status").json["serverId"] == server_id


@pytest.mark.parametrize("port", [1024, 65535])
def test_ports_at_the_border_pass(face: Face, port: int) -> None:
    """Both ends of the range are in it."""
    answer = face.post(f"/api/rathole/clients/{SERVER_ID}/start", {"gamePort": port, "beaconPort": 30013})
    assert answer.json["code"] == "unknown_server"


def test_a_body_of_just_under_a_mebibyte_is_read(face: Face) -> None:
    """The limit is 1 MiB and not less."""
    face.spawn()
    text = "#" * (1024 * 1024 - 100)
    assert face.post(f"/api/rathole/clients/{SERVER_ID}/configure", {"clientConfig": text}).status_code == 200
    assert face.servers.configs == {SERVER_ID: text}


def test_json_under_a_content_type_with_a_charset_is_read(face: Face) -> None:
    """Java's clients name the charset."""
    data = b'{"serverId": "srv_unknown"}'
    answer = face.call("POST", "/api/containers/start", data=data, content_type="application/json; charset=UTF-8")
    assert answer.json["code"] == "unknown_server"


@pytest.mark.parametrize("data", [None, b"", b"{}", b"not json at all"])
@pytest.mark.parametrize("content_type", [None, "application/json"])
def test_what_needs_no_body_looks_at_none(face: Face, data: bytes | None, content_type: str | None) -> None:
    """`clients/<id>/stop` and `delete` come without a body and without a content type."""
    sent = {"data": data, "content_type": content_type}
    assert face.call("POST", f"/api/rathole/clients/{SERVER_ID}/stop", **sent).status_code == 200
    assert face.call("DELETE", f"/api/containers/{SERVER_ID}/delete", **sent).status_code == 200


def test_configure_takes_the_id_in_either_case(face: Face) -> None:
    """Ids that differ in case only are one id."""
    face.spawn()
    body = {"serverId": SERVER_ID.upper(), "clientConfig": "[client]"}
    assert face.post(f"/api/rathole/clients/{SERVER_ID}/configure", body).status_code == 200
