"""What the agent does not do: twice the same, what contradicts, what is wrong. Each over real HTTP."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests

from tests.e2e.conftest import Spawn
from tests.e2e.deployment import FIRST_PORT, GAME_IMAGE, Deployment


@contextmanager
def nothing_left_behind(deployment: Deployment) -> Iterator[None]:
    """Hold files, rows, containers and tunnels afterwards against those before."""
    before = deployment.footprint()
    yield
    assert deployment.footprint() == before


def assert_refused(answer: requests.Response, status: int, *words: str) -> None:
    """See the status, the envelope and a sentence with these words."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["status"]) == (status, "error"), body
    assert body["message"].endswith((".", "?")), body
    assert body["code"].replace("_", "").isalpha(), body
    for word in words:
        assert word in json.dumps(body, ensure_ascii=False), body


def test_the_same_spawn_again_is_answered_with_the_same_server(deployment: Deployment, spawn: Spawn) -> None:
    """A repeated request changes nothing: same container, not restarted, same tunnel."""
    game = spawn()
    game.wait_until_settled()
    with nothing_left_behind(deployment):
        answer = game.spawn()
    assert answer.status_code == 200
    assert answer.json()["containerId"] == game.container.id


@pytest.mark.parametrize(
    "change", [{"maxPlayers": 8}, {"serverName": "Another"}, {"gamePort": FIRST_PORT + 8}, {"ramAllocation": 2}]
)
def test_another_spec_for_the_same_id_is_a_conflict(
    deployment: Deployment, spawn: Spawn, change: dict[str, object]
) -> None:
    """A spawn is no way to change a server."""
    game = spawn()
    game.wait_until_settled()
    with nothing_left_behind(deployment):
        assert_refused(game.spawn(**change), 409, game.id)


def test_an_id_that_differs_in_case_only_is_a_conflict(deployment: Deployment, spawn: Spawn) -> None:
    """Docker's DNS does not see case: two such servers would get each other's players."""
    game = spawn()
    game.wait_until_settled()
    with nothing_left_behind(deployment):
        assert_refused(game.spawn(serverId=game.id.upper(), gamePort=FIRST_PORT + 8, beaconPort=FIRST_PORT + 9), 409)


def test_ports_of_another_server_are_a_conflict(deployment: Deployment, spawn: Spawn, plan: Spawn) -> None:
    """Whichever of the two ports it is, the answer names it."""
    game = spawn()
    game.wait_until_settled()
    other = plan()
    with nothing_left_behind(deployment):
        assert_refused(other.spawn(gamePort=game.game_port), 409, str(game.game_port))
        assert_refused(other.spawn(beaconPort=game.beacon_port), 409, str(game.beacon_port))


@pytest.mark.parametrize(
    "server_id",
    ["../x", "../../etc", "a.b", "a b", "a@b", "x" * 64, "", "x", "-x", "x\n", "srv\u00e9", 42, None, True, ["x"], {}],
)
def test_a_wrong_id_is_refused(deployment: Deployment, plan: Spawn, server_id: object) -> None:
    """422 with a sentence, before a path, a label or a process sees it."""
    with nothing_left_behind(deployment):
        assert_refused(plan().spawn(serverId=server_id), 422, "serverId")
        assert_refused(deployment.call("POST", "/api/containers/start", json={"serverId": server_id}), 422, "serverId")


@pytest.mark.parametrize("server_id", ["..%2Fx", "a.b", "a%20b", "x" * 64, "x%0A"])
def test_a_wrong_id_in_a_path_is_refused(deployment: Deployment, server_id: str) -> None:
    """The same, where the id is part of the address."""
    with nothing_left_behind(deployment):
        for method, path in (("GET", f"{server_id}/status"), ("DELETE", f"{server_id}/delete")):
            answer = deployment.call(method, f"/api/containers/{path}")
            assert_refused(answer, 404 if "%2F" in server_id else 422)


@pytest.mark.parametrize("server_id", ["host-agent", "satis-host-agent", "edge", "localhost", "satis-edge-e2e"])
def test_a_name_of_ours_is_no_id(deployment: Deployment, plan: Spawn, server_id: str) -> None:
    """A game so named would catch the agent's calls with their tokens."""
    with nothing_left_behind(deployment):
        assert_refused(plan().spawn(serverId=server_id), 422)


@pytest.mark.parametrize("port", [0, 80, 1023, 65536, -1, "31600", 31600.0, 31600.5, True, None, [31600], 10**30])
def test_a_wrong_port_is_refused(deployment: Deployment, plan: Spawn, port: object) -> None:
    """422, and the field is named."""
    with nothing_left_behind(deployment):
        assert_refused(plan().spawn(gamePort=port), 422, "gamePort")
        assert_refused(plan().spawn(beaconPort=port), 422, "beaconPort")


def test_equal_ports_are_refused(deployment: Deployment, plan: Spawn) -> None:
    """The game listens by TCP at both."""
    game = plan()
    with nothing_left_behind(deployment):
        assert_refused(game.spawn(beaconPort=game.game_port), 422, "beaconPort")


@pytest.mark.parametrize("name", ["serverId", "serverName", "gamePort", "beaconPort"])
def test_a_missing_field_is_named(deployment: Deployment, plan: Spawn, name: str) -> None:
    """422 with the field's name."""
    spec = {key: value for key, value in plan().spec.items() if key != name}
    with nothing_left_behind(deployment):
        assert_refused(deployment.call("POST", "/api/containers/spawn", json=spec), 422, name)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("serverName", 5),
        ("ramAllocation", "4"),
        ("ramAllocation", 0),
        ("cpuAllocation", 1.5),
        ("maxPlayers", "4"),
        ("maxPlayers", 0),
        ("serverPassword", 5),
        ("environmentVariables", []),
        ("environmentVariables", {"lower": "x"}),
        ("environmentVariables", {"A": 5}),
        ("environmentVariables", {"SERVERGAMEPORT": "1"}),
        ("environmentVariables", {"PUID": "0"}),
    ],
)
def test_a_field_of_a_wrong_type_or_value_is_named(
    deployment: Deployment, plan: Spawn, name: str, value: object
) -> None:
    """422 with the field's name."""
    with nothing_left_behind(deployment):
        assert_refused(plan().spawn(**{name: value}), 422, name)


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b"{}", "text/plain", 415),
        (b"a=b", "application/x-www-form-urlencoded", 415),
        (b'{"serverName": "' + b"x" * 2**21 + b'"}', "application/json", 413),
        (b"[" * 100_000, "application/json", 400),
    ],
    ids=["cut", "not text", "empty", "a list", "null", "text", "a form", "2 MiB", "deep"],
)
def test_a_wrong_body_is_refused(deployment: Deployment, body: bytes, kind: str, status: int) -> None:
    """Each has its own status, all the same envelope."""
    with nothing_left_behind(deployment):
        answer = deployment.call("POST", "/api/containers/spawn", data=body, headers={"Content-Type": kind})
        assert_refused(answer, status)


@pytest.mark.parametrize("key", [None, "wrong-key-0123456789"], ids=["no key", "a wrong key"])
def test_nobody_is_let_in_without_the_key(deployment: Deployment, plan: Spawn, key: str | None) -> None:
    """401, whatever the route, and nothing is done."""
    game = plan()
    with nothing_left_behind(deployment):
        assert_refused(deployment.call("POST", "/api/containers/spawn", key=key, json=game.spec), 401)
        assert_refused(deployment.call("GET", "/api/containers", key=key), 401)
        assert_refused(deployment.call("GET", "/api/nothing", key=key), 401)


def test_what_there_is_no_image_for_is_undone(deployment: Deployment, plan: Spawn) -> None:
    """502 with a sentence that names the image; ports, files, instance and row are free again."""
    game = plan()
    deployment.docker.images.remove(GAME_IMAGE, force=True, noprune=True)
    try:
        with nothing_left_behind(deployment):
            assert_refused(game.spawn(), 502, GAME_IMAGE)
    finally:
        deployment.build_game_image()
    assert deployment.instance_status(game.id) == 404
    assert game.spawn().status_code == 200


def test_ports_that_the_vps_does_not_have_cost_the_tunnel_only(plan: Spawn) -> None:
    """The game runs, the answer is success, and the tunnel's reason is what the manager said."""
    game = plan(gamePort=21600, beaconPort=21601)
    answer = game.spawn()
    assert answer.status_code == 200
    assert game.container.status == "running"
    assert answer.json()["agent"]["tunnel"]["state"] != "up"
    assert answer.json()["agent"]["tunnel"]["message"]
