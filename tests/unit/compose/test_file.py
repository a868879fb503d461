"""The compose file of one server."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from compose.file import HASH_LABEL, SERVER_LABEL, render, spec_hash, to_yaml
from core.models import Ports, ServerSpec

PORTS = Ports(game=30001, beacon=30002)
PASSWORD = "correct horse battery staple"

# Text as the request's checks let it through: no NUL, no line break.
VALUES = st.text(st.characters(exclude_characters="\0\n\r", exclude_categories=["Cs"]), max_size=80)


def spec(**given: object) -> ServerSpec:
    """Return a server's request with some fields set."""
    fields = {
        "server_id": "srv_JohnDoe_1a2b3c4d",
        "server_name": "A name",
        "game_port": 7777,
        "beacon_port": 8888,
    }
    return ServerSpec.model_validate(fields | given)


def document(
    request: ServerSpec | None = None,
    *,
    image: str = "game:v1",
    data_path: Path = Path("/data/x"),
    publish_ports: bool = False,
) -> dict[str, Any]:
    """Return the rendered document of a request."""
    return render(request or spec(), PORTS, image=image, data_path=data_path, publish_ports=publish_ports)


def service_of(rendered: dict[str, Any]) -> dict[str, Any]:
    """Return the one service of a document."""
    (only,) = rendered["services"].values()
    return dict(only)


def service(request: ServerSpec | None = None) -> dict[str, Any]:
    """Return the one service of a rendered document."""
    return service_of(document(request))


def test_everything_carries_the_servers_id() -> None:
    """Service, container and host name are the id, its case kept: rathole dials it by that name."""
    assert list(document()["services"]) == ["srv_JohnDoe_1a2b3c4d"]
    assert service()["container_name"] == "srv_JohnDoe_1a2b3c4d"
    assert service()["hostname"] == "srv_JohnDoe_1a2b3c4d"
    assert service()["labels"][SERVER_LABEL] == "srv_JohnDoe_1a2b3c4d"


def test_the_game_is_told_the_public_ports() -> None:
    """The ports are those that the manager gave, not the requested ones."""
    environment = service(spec(max_players=12))["environment"]
    assert environment["SERVERGAMEPORT"] == "30001"
    assert environment["SERVERMESSAGINGPORT"] == "30002"
    assert environment["MAXPLAYERS"] == "12"


def test_the_orchestrators_variables_lie_over_the_defaults_and_under_ours() -> None:
    """What the agent sets itself wins, whatever the orchestrator sends."""
    sent = {"STEAMBETA": "true", "SERVERGAMEPORT": "7777", "MAXPLAYERS": "99", "OF_ITS_OWN": "x"}
    environment = service(spec(environment_variables=sent))["environment"]
    assert environment["STEAMBETA"] == "true"
    assert environment["SERVERGAMEPORT"] == "30001"
    assert environment["MAXPLAYERS"] == "4"
    assert environment["OF_ITS_OWN"] == "x"
    assert environment["AUTOSAVENUM"] == "5"


def test_the_password_is_nowhere() -> None:
    """The image reads no password, and Docker would show it to anyone who may ask."""
    text = to_yaml(document(spec(server_password=PASSWORD, server_name="Secret base")))
    assert PASSWORD not in text


def test_limits_follow_the_request() -> None:
    """RAM, CPUs and processes are bounded, and there is no swap beyond the memory."""
    limited = service(spec(ram_allocation=12, cpu_allocation=3))
    assert limited["deploy"]["resources"]["limits"] == {"memory": "12g", "cpus": "3", "pids": 1024}
    assert limited["memswap_limit"] == "12g"


def test_limits_have_defaults() -> None:
    """A request without RAM and CPU gets 4 GB and 2 cores."""
    assert service()["deploy"]["resources"]["limits"] == {"memory": "4g", "cpus": "2", "pids": 1024}


def test_ports_are_published_only_where_asked() -> None:
    """Each published port names its protocol: Docker would publish TCP alone."""
    assert "ports" not in service()
    assert service_of(document(publish_ports=True))["ports"] == [
        "30001:30001/tcp",
        "30001:30001/udp",
        "30002:30002/tcp",
    ]


def test_the_container_is_bounded_and_restarted() -> None:
    """Restart, network, logs and privileges are as the design says."""
    found = service()
    assert found["restart"] == "unless-stopped"
    assert found["networks"] == ["satis_network"]
    assert document()["networks"] == {"satis_network": {"external": True}}
    assert found["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["stop_grace_period"] == "60s"


def test_the_agent_may_administrate_from_inside() -> None:
    """The game's command line lets the agent save a server that its owner has claimed."""
    assert service()["command"] == ["-ini:Engine:[SystemSettings]:FG.DedicatedServer.AllowInsecureLocalAccess=1"]


def test_the_data_is_mounted_and_never_made_by_docker() -> None:
    """A path that Docker does not see is an error, not an empty folder on the host."""
    assert service_of(document(data_path=Path("/data/with space")))["volumes"] == [
        {
            "type": "bind",
            "source": "/data/with space",
            "target": "/config",
            "bind": {"create_host_path": False},
        }
    ]


def test_dollars_are_doubled_everywhere() -> None:
    """Compose would fill in `${...}` from its environment, in quoted strings too."""
    request = spec(environment_variables={"MOTD": "${RATHOLE_TOKEN} $5 $$"})
    found = service_of(document(request, data_path=Path("/da$ta"), image="game:$v"))
    assert found["environment"]["MOTD"] == "$${RATHOLE_TOKEN} $$5 $$$$"
    assert found["volumes"][0]["source"] == "/da$$ta"
    assert found["image"] == "game:$$v"


@given(VALUES)
def test_any_value_survives(value: str) -> None:
    """What Compose reads back, with its dollars halved, is what was sent."""
    text = to_yaml(document(spec(environment_variables={"VALUE": value})))
    (found,) = yaml.safe_load(text)["services"].values()
    assert found["environment"]["VALUE"].replace("$$", "$") == value
    assert "$" not in found["environment"]["VALUE"].replace("$$", "")


@pytest.mark.parametrize("value", ["1e3", "0o17", "yes", "0x1F", "~", "12:30:45", "1_000", "null", ""])
def test_values_stay_strings_in_every_yaml(value: str) -> None:
    """Compose reads a bare 1e3 as 1000 and a bare 0o17 as 15 (tried with 2.26), so all are quoted."""
    text = to_yaml(document(spec(environment_variables={"VALUE": value})))
    assert f'"VALUE": "{value}"\n' in text


def test_the_text_is_ascii_and_one_line_each() -> None:
    """No value can pretend to be another line of the file."""
    text = to_yaml(document(spec(environment_variables={"VALUE": "é😀\x85\u2028 " + "word " * 100})))
    assert text.isascii()
    assert sum('"VALUE":' in line for line in text.splitlines()) == 1
    assert len(text.splitlines()) == len(to_yaml(document(spec(environment_variables={"VALUE": ""}))).splitlines())


def test_the_hash_is_in_the_label_and_ignores_it() -> None:
    """The label holds the hash of the document without the label."""
    found = document()
    label = service()["labels"][HASH_LABEL]
    assert label == spec_hash(found)
    (only,) = found["services"].values()
    only["labels"][HASH_LABEL] = "something else"
    assert label == spec_hash(found)


def test_the_hash_is_stable() -> None:
    """The order in which variables were sent makes no difference; a restart of the agent neither."""
    one = spec(environment_variables={"A": "1", "B": "2"})
    other = spec(environment_variables={"B": "2", "A": "1"})
    assert spec_hash(document(one)) == spec_hash(document(other))


@pytest.mark.parametrize(
    "changed",
    [
        {"max_players": 5},
        {"ram_allocation": 5},
        {"cpu_allocation": 1},
        {"environment_variables": {"A": "1"}},
        {"server_id": "srv_other"},
    ],
)
def test_the_hash_follows_what_the_container_is(changed: dict[str, Any]) -> None:
    """Each change of the container's making changes the hash."""
    assert spec_hash(document(spec(**changed))) != spec_hash(document())


def test_the_hash_tells_nothing_of_name_and_password() -> None:
    """A label holds no secret, not even hashed, and a new name needs no new container."""
    assert spec_hash(document(spec(server_password=PASSWORD, server_name="B"))) == spec_hash(document())
