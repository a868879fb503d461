"""rathole's configurations, read back by a parser."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.configs import client_config, server_config
from edge.instances import Instance
from tests.unit.edge.conftest import KEYS

INSTANCE = Instance(server_id="srv_1", game_port=30000, query_port=30001, control_port=20000)


def _client(instance: Instance = INSTANCE, local: str = "srv_1") -> dict[str, Any]:
    text = client_config(instance, KEYS, remote_host="vps.example.org", local_host=local)
    client: dict[str, Any] = tomllib.loads(text)["client"]
    return client


def _server(instance: Instance = INSTANCE) -> dict[str, Any]:
    server: dict[str, Any] = tomllib.loads(server_config(instance, KEYS))["server"]
    return server


def test_the_client_config_is_the_contracts() -> None:
    """Addresses, timing, transport and services are what agents in the field expect."""
    service = {"token": INSTANCE.token, "nodelay": True}
    assert _client() == {
        "remote_addr": "vps.example.org:20000",
        "heartbeat_timeout": 40,
        "retry_interval": 1,
        "transport": {
            "type": "noise",
            "tcp": {"nodelay": True, "keepalive_secs": 20, "keepalive_interval": 8},
            "noise": {"remote_public_key": KEYS.public},
        },
        "services": {
            "srv_1_game_tcp": {"type": "tcp", "local_addr": "srv_1:30000", **service},
            "srv_1_game_udp": {"type": "udp", "local_addr": "srv_1:30000", **service},
            "srv_1_query": {"type": "tcp", "local_addr": "srv_1:30001", **service},
        },
    }


def test_the_server_binds_the_public_ports() -> None:
    """Each service is bound at exactly the port that was asked for."""
    server = _server()
    assert server["bind_addr"] == "0.0.0.0:20000"
    assert {name: service["bind_addr"] for name, service in server["services"].items()} == {
        "srv_1_game_tcp": "0.0.0.0:30000",
        "srv_1_game_udp": "0.0.0.0:30000",
        "srv_1_query": "0.0.0.0:30001",
    }


def test_the_private_key_stays_on_the_edge() -> None:
    """Only the server's configuration holds it."""
    assert _server()["transport"]["noise"] == {"local_private_key": KEYS.private}
    assert KEYS.private not in str(_client())


def test_each_instance_has_a_token_of_its_own() -> None:
    """32 random bytes, in text, not shown in the instance's own text."""
    other = Instance(server_id="srv_2", game_port=30002, query_port=30003, control_port=20001)
    assert len(bytes.fromhex(other.token)) == 32
    assert other.token != INSTANCE.token
    assert other.token not in repr(other)


@given(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{1,62}", fullmatch=True))
def test_both_sides_agree_for_every_id(server_id: str) -> None:
    """Names, types and tokens of the services are equal on both sides, else rathole refuses the client."""
    instance = INSTANCE.model_copy(update={"server_id": server_id})
    client, server = _client(instance)["services"], _server(instance)["services"]
    assert {n: (s["type"], s["token"]) for n, s in client.items()} == {
        n: (s["type"], s["token"]) for n, s in server.items()
    }


@pytest.mark.parametrize("host", ['x"y', "a\nb", "[services]"])
def test_a_serialiser_keeps_odd_text_a_text(host: str) -> None:
    """Whatever stands for a host stays inside its string."""
    assert _client(local=host)["services"]["srv_1_query"]["local_addr"] == f"{host}:30001"
