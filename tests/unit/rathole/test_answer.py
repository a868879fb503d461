"""What the instance manager answers, value by value."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ManagerFailed
from rathole.answer import Instance, config_of, instance_of, json_of, sentence_of

ID = "srv_Ab_1a2b3c4d"
CREATED: dict[str, Any] = {
    "status": "success",
    "server_id": ID,
    "rathole_port": 20004,
    "tunnel_game_tcp_port": 40010,
    "tunnel_game_udp_port": 40010,
    "tunnel_query_port": 40011,
    "public_connection_info": {
        "game_tcp_address": "vps.example:40010",
        "game_udp_address": "vps.example:40010",
        "query_address": "vps.example:40011",
    },
}


def test_a_created_instance_tells_its_public_ports() -> None:
    """The answer to a create has the fields at its top."""
    assert instance_of(CREATED, ID) == Instance(20004, 40010, 40011, "vps.example", None)


def test_a_listed_instance_tells_the_same() -> None:
    """The answer to a get has them under `instance`; the id may differ in case."""
    listed = {"status": "success", "instance": {**CREATED, "server_id": ID.lower(), "is_running": True}}

    assert instance_of(listed, ID) == Instance(20004, 40010, 40011, "vps.example", True)


def test_a_dead_instance_has_no_ports() -> None:
    """After its own restart the manager lists instances so."""
    dead = {"instance": {"server_id": ID, "rathole_port": 20004, "game_port": None, "is_running": False}}

    assert instance_of(dead, ID) == Instance(rathole_port=20004, running=False)


def test_ports_may_stand_in_the_addresses_only() -> None:
    """Some managers give no tunnel ports; the addresses for players have them."""
    answer = {"public_connection_info": CREATED["public_connection_info"]}

    assert instance_of(answer, ID) == Instance(None, 40010, 40011, "vps.example")


def test_the_first_generation_says_its_rathole_port_only() -> None:
    """The public ports are then the requested ones, for all that is known."""
    assert instance_of({"rathole_port": 20004}, ID) == Instance(rathole_port=20004)


@pytest.mark.parametrize(
    "address", ["0.0.0.0:40010", "127.0.0.1:40010", "localhost:40010", "None:40010", "[::]:40010", "a b:40010"]
)
def test_an_address_that_no_player_can_type_is_no_public_host(address: str) -> None:
    """Its port counts all the same."""
    instance = instance_of({"public_connection_info": {"game_udp_address": address}}, ID)

    assert (instance.public_host, instance.game_port) == (None, 40010)


@pytest.mark.parametrize(
    "change",
    [
        {"server_id": "srv_other_00000001"},
        {"server_id": 7},
        {"server_id": None},
        {"rathole_port": "20004"},
        {"rathole_port": 0},
        {"rathole_port": 65536},
        {"rathole_port": True},
        {"tunnel_game_udp_port": 40010.0},
        {"tunnel_query_port": [40011]},
        {"is_running": "yes"},
        {"public_connection_info": "vps.example"},
        {"instance": []},
        {"instance": {"server_id": "srv_other_00000001"}},
    ],
)
def test_a_value_of_another_kind_or_server_is_refused(change: dict[str, Any]) -> None:
    """What lies in one value is not believed in the others."""
    with pytest.raises(ManagerFailed) as failed:
        instance_of({**CREATED, **change}, ID)

    assert failed.value.code == "manager_failed"


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"status": "succ', b"[]", b"null", b'"x"', b"\xff", b"[" * 10_000])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    """A proxy's page, half an answer, or something else."""
    with pytest.raises(ManagerFailed):
        json_of(body)


@pytest.mark.parametrize("answer", [{}, {"config": None}, {"config": 1}, {"config": "x", "server_id": "srv_other_1"}])
def test_a_config_must_be_text_of_this_server(answer: dict[str, Any]) -> None:
    """Another server's file would be run under this one's name."""
    with pytest.raises(ManagerFailed):
        config_of(answer, ID)


def test_a_reason_is_short_and_printable() -> None:
    """It lands in a log and in an answer."""
    assert sentence_of(b'{"message": "No free\\nport."}') == "No free\\nport"
    assert len(sentence_of(b'{"error": "' + b"x" * 5000 + b'"}')) == 200
    assert sentence_of(b"<html>") == "it gives no reason"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.dictionaries(st.text(), x)))
def test_no_value_raises_anything_else(value: Any) -> None:  # noqa: ANN401 - whatever JSON can be
    """Any value at any key is an instance or a ManagerFailed."""
    for key in [*CREATED, "instance", "is_running"]:
        try:
            instance = instance_of({**CREATED, key: value}, ID)
        except ManagerFailed:
            continue
        assert isinstance(instance, Instance)
