"""The request to provision a server: what is taken, what is refused, and that its password stays hidden."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from core.models import Ports, ServerSpec
from tests.unit.core.conftest import spec_of

FIELD = {
    "serverId": "srv_efand_0729cc10",
    "serverName": 'Größe "7" ☃ ${RATHOLE_TOKEN}',
    "gamePort": 30012,
    "beaconPort": 31012,
    "ramAllocation": 12,
    "cpuAllocation": 4,
    "maxPlayers": 8,
    "serverPassword": "pässwörd ☃",
    "environmentVariables": {
        "SERVERGAMEPORT": "30012",
        "SERVERMESSAGINGPORT": "31012",
        "MAXPLAYERS": "8",
        "PGID": "1000",
        "PUID": "1000",
        "STEAMBETA": "false",
    },
}


def faults(**values: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - a test may give anything
    """Return field and sentence of each fault."""
    with pytest.raises(ValidationError) as failed:
        spec_of(**values)
    return [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in failed.value.errors()]


def test_the_request_of_the_field_is_taken_as_it_is() -> None:
    """All that the orchestrator sends, any text in names and passwords."""
    spec = ServerSpec.model_validate(FIELD)
    assert spec.ports == Ports(30012, 31012)
    assert spec.server_name == FIELD["serverName"]
    assert spec.server_password == SecretStr("pässwörd ☃")
    assert json.loads(spec.to_json()) == FIELD


def test_what_may_be_left_out_may_be_null() -> None:
    """RAM, CPU, password and environment, as older orchestrators send them."""
    nulls = dict.fromkeys(("ramAllocation", "cpuAllocation", "serverPassword", "environmentVariables"))
    assert spec_of(**nulls) == spec_of()
    assert spec_of().environment_variables == {}


def test_no_password_is_no_password() -> None:
    """An empty one is sent for a server without."""
    assert spec_of(serverPassword="").server_password is None


def test_unknown_keys_are_nobodys_business() -> None:
    """An orchestrator of another age may send more."""
    assert spec_of(gameMode="easy") == spec_of()


@pytest.mark.parametrize("value", ["../x", "a.b", "a b", "a" * 64, "", 7, None, True, "srv\n", "host-agent"])
def test_a_wrong_id_is_named(value: object) -> None:
    """The field is the one of the wire."""
    ((field, said),) = faults(serverId=value)
    assert field == "serverId"
    assert "id" in said


@pytest.mark.parametrize("value", [0, 80, 1023, 65536, -1, "30000", 30000.0, 30000.5, True, None, [30000]])
@pytest.mark.parametrize("field", ["gamePort", "beaconPort"])
def test_a_wrong_port_is_named(field: str, value: object) -> None:
    """Below 1024, above 65535, and what is no whole number."""
    assert [name for name, _ in faults(**{field: value})] == [field]


@pytest.mark.parametrize("value", [1024, 65535])
def test_the_bounds_are_ports(value: int) -> None:
    """Both ends count."""
    assert spec_of(gamePort=value).game_port == value


def test_equal_ports_are_refused() -> None:
    """The game needs both as TCP ports."""
    ((_, said),) = faults(gamePort=30000, beaconPort=30000)
    assert "gamePort and beaconPort must differ" in said


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ramAllocation", 0),
        ("ramAllocation", 1025),
        ("ramAllocation", "4"),
        ("ramAllocation", 4.5),
        ("ramAllocation", True),
        ("cpuAllocation", 0),
        ("cpuAllocation", 257),
        ("cpuAllocation", "2"),
        ("maxPlayers", 0),
        ("maxPlayers", 128),
        ("maxPlayers", None),
        ("maxPlayers", "4"),
        ("serverName", ""),
        ("serverName", "a\nb"),
        ("serverName", "a\0b"),
        ("serverName", "a" * 257),
        ("serverName", 7),
        ("serverName", None),
        ("serverName", "\ud800"),
        ("serverPassword", 7),
        ("serverPassword", "a\rb"),
        ("serverPassword", "a" * 257),
        ("serverPassword", "\ud800"),
        ("environmentVariables", []),
        ("environmentVariables", "A=1"),
    ],
)
def test_a_wrong_value_is_named(field: str, value: object) -> None:
    """Out of bounds, of another type, or no text that a file can hold."""
    assert [name for name, _ in faults(**{field: value})] == [field]


def test_missing_fields_are_named_together() -> None:
    """Every one that a server cannot be without."""
    with pytest.raises(ValidationError) as failed:
        ServerSpec.model_validate({})
    assert {fault["loc"][0] for fault in failed.value.errors()} == {"serverId", "serverName", "gamePort", "beaconPort"}


@pytest.mark.parametrize(
    "variables",
    [
        {"lower": "1"},
        {"1A": "1"},
        {"A B": "1"},
        {"A=": "1"},
        {"": "1"},
        {"A" * 65: "1"},
        {"A\n": "1"},
        {"A": "line\nbreak"},
        {"A": "\0"},
        {"A": "x" * 4097},
        {"A": "ä" * 2049},
        {"A": "\ud800"},
        {"A": 1},
        {"A": None},
        {f"A{number}": "" for number in range(65)},
    ],
)
def test_a_wrong_environment_is_refused(variables: dict[str, object]) -> None:
    """Names, values and their number have bounds."""
    assert all(name.startswith("environmentVariables") for name, _ in faults(environmentVariables=variables))


@pytest.mark.parametrize(
    "variables",
    [
        {"SERVERGAMEPORT": "30001"},
        {"SERVERMESSAGINGPORT": "30000"},
        {"SERVERGAMEPORT": ""},
        {"PUID": "0"},
        {"PGID": "000"},
        {"PUID": " 0 "},
        {"PUID": "+0"},
        {"PUID": "root"},
        {"PGID": "-1"},
        {"PGID": ""},
    ],
)
def test_an_environment_that_contradicts_is_refused(variables: dict[str, str]) -> None:
    """The agent sets ports itself, and the image refuses to run as root, however zero is written."""
    ((_, said),) = faults(environmentVariables=variables)
    assert f"environmentVariables.{next(iter(variables))}" in said


def test_a_dollar_is_text() -> None:
    """What compose would read as a variable is kept as it came; the renderer doubles it."""
    assert spec_of(environmentVariables={"A": "${B}"}).environment_variables == {"A": "${B}"}


def test_the_password_is_shown_nowhere() -> None:
    """Neither the spec's text nor the fault of another field holds it; the private file does."""
    spec = spec_of(serverPassword="marked-password")
    assert "marked" not in repr(spec)
    assert "marked" not in str(spec)
    assert "marked" not in repr(spec.model_dump())
    assert "marked-password" in spec.to_json()
    assert "marked" not in repr(faults(serverPassword="marked\n"))


def test_a_request_does_not_change() -> None:
    """It is what was asked for."""
    with pytest.raises(ValidationError, match="frozen"):
        spec_of().game_port = 1  # type: ignore[misc]


@given(
    name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), min_size=1, max_size=256),
    password=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\n"), max_size=256),
)
def test_what_is_stored_is_read_back_equal(name: str, password: str) -> None:
    """After a restart of the agent the same spawn must be equal to the stored one."""
    spec = spec_of(serverName=name, serverPassword=password)
    assert ServerSpec.model_validate_json(spec.to_json()) == spec
