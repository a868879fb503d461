"""Docker's descriptions as plain values."""

from typing import Any

import pytest

from compose.container import container_of, event_of, network_of
from core.models import Ports

ANONYMOUS = "275ddbfef341fc818373e58f4d09710c296765a8f43ba1eb1f0c24ed46ac1a7e"


def inspected(**changes: object) -> dict[str, Any]:
    """Return what engine 20.10 says of a running container, with some parts changed."""
    return {
        "Id": "b7994101",
        "Name": "/srv_a",
        "Created": "2026-11-23T22:42:41.581730312Z",
        "State": {
            "Status": "running",
            "StartedAt": "2026-11-23T22:42:41.911244085Z",
            "FinishedAt": "0001-01-01T00:00:00Z",
            "ExitCode": 0,
            "OOMKilled": False,
        },
        "RestartCount": 2,
        "Config": {
            "Image": "game:v1",
            "Labels": {"satis.server_id": "srv_a"},
            "Env": ["SERVERGAMEPORT=30001", "SERVERMESSAGINGPORT=30002", "MOTD=a=b", "BARE"],
        },
        "NetworkSettings": {"Networks": {"satis_network": {"NetworkID": "n1", "IPAddress": "172.18.0.2"}}},
        "Mounts": [
            {"Type": "bind", "Source": "/data"},
            {"Type": "volume", "Name": "named"},
            {"Type": "volume", "Name": ANONYMOUS},
        ],
    } | changes


def test_a_running_container() -> None:
    """Name without the slash, its network, address, ports and volumes."""
    found = container_of(inspected())
    assert (found.name, found.status, found.restart_count) == ("srv_a", "running", 2)
    assert found.network_ids == {"satis_network": "n1"}
    assert found.ip == "172.18.0.2"
    assert found.ports == Ports(30001, 30002)
    assert found.health is None
    assert found.volumes == ("named", ANONYMOUS)
    assert found.anonymous_volumes == (ANONYMOUS,)


def test_a_stopped_container_has_no_address() -> None:
    """Docker keeps the network's id and empties the address."""
    networks = {"Networks": {"satis_network": {"NetworkID": "n1", "IPAddress": ""}}}
    found = container_of(inspected(NetworkSettings=networks))
    assert found.ip is None
    assert found.network_ids == {"satis_network": "n1"}


def test_a_container_without_network_labels_and_variables() -> None:
    """Whatever somebody else made can be described."""
    bare = {"Image": "x", "Labels": None, "Env": None}
    found = container_of(inspected(NetworkSettings={"Networks": {}}, Config=bare))
    assert (found.network_ids, found.ip, found.labels, found.ports) == ({}, None, {}, None)


@pytest.mark.parametrize("variables", [["SERVERGAMEPORT=1"], ["SERVERGAMEPORT=x", "SERVERMESSAGINGPORT=1"], []])
def test_ports_are_both_there_or_unknown(variables: list[str]) -> None:
    """A container that was told half of it tells us nothing."""
    config = {"Image": "x", "Labels": {}, "Env": variables}
    assert container_of(inspected(Config=config)).ports is None


def test_health_is_told_where_the_image_checks_it() -> None:
    """The word is Docker's."""
    state = inspected()["State"] | {"Health": {"Status": "unhealthy"}}
    assert container_of(inspected(State=state)).health == "unhealthy"


def test_a_network() -> None:
    """Members by id, and the addresses that the trust rules need."""
    found = network_of(
        {
            "Id": "n1",
            "Name": "satis_network",
            "Created": "2026-11-23T22:12:26Z",
            "Labels": None,
            "IPAM": {"Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}, {"Subnet": "fd00::/64"}]},
            "Containers": {"c1": {"Name": "srv_a", "IPv4Address": "172.18.0.2/16"}},
        }
    )
    assert found.members == {"c1": "srv_a"}
    assert found.subnets == ("172.18.0.0/16", "fd00::/64")
    assert found.gateways == ("172.18.0.1",)


def test_an_event() -> None:
    """Its time is exact, so that a caller can go on right behind it."""
    found = event_of(
        {
            "Type": "container",
            "Action": "die",
            "Actor": {"ID": "c1", "Attributes": {"name": "srv_a", "exitCode": "137"}},
            "timeNano": 1732401761911244085,
        }
    )
    assert (found.kind, found.name, found.action) == ("container", "srv_a", "die")
    assert found.time_ns == 1732401761911244085
    assert found.attributes["exitCode"] == "137"
