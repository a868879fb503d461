"""Which callers need no key, and which never may."""

import ipaddress
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from compose.container import Network
from compose.network import NETWORK
from core.errors import DockerUnavailable
from provisioning.trust import TrustedNetworks

GAMES = "172.18.0.0/16"


def network(name: str, subnet: str, gateway: str) -> Network:
    """Return a network of Docker's."""
    return Network(name, name, "2026-01-01", {}, {}, (subnet,), (gateway,))


@dataclass
class FakeEngine:
    """Knows two networks, or nothing while it is away."""

    networks: list[Network] = field(
        default_factory=lambda: [
            network("bridge", "172.17.0.0/16", "172.17.0.1"),
            network(NETWORK, GAMES, "172.18.0.1"),
        ]
    )
    away: bool = False

    def all_networks(self) -> list[Network]:
        """Return them, or fail as the engine does."""
        if self.away:
            raise DockerUnavailable("docker_unavailable", "The Docker engine is not reachable.")
        return self.networks


def trust(engine: FakeEngine, *named: str) -> TrustedNetworks:
    """Return the door of an agent whose operator named these networks."""
    known: Any = engine
    return TrustedNetworks([ipaddress.ip_network(text) for text in named], known)


def test_nobody_is_trusted_before_docker_was_asked() -> None:
    """A network may turn out to be one from which anybody can call."""
    door = trust(FakeEngine(), "192.0.2.7/32")
    assert not door.trusted("192.0.2.7")
    door.check()
    assert door.trusted("192.0.2.7")
    assert not door.trusted("192.0.2.8")


@pytest.mark.parametrize("named", ["172.17.0.1/32", "172.17.0.0/16", "172.18.0.5/32", GAMES, "0.0.0.0/0"])
def test_a_network_from_which_anybody_can_call_closes_the_door(named: str) -> None:
    """A gateway stands for every caller of the host, and games call from their own network: said once, by name."""
    door = trust(FakeEngine(), "192.0.2.7/32", named)
    with capture_logs() as lines:
        door.check()
        door.check()
    assert not door.trusted("192.0.2.7")
    assert not door.trusted("172.17.0.1")
    assert [named in line["why"] for line in lines] == [True]


def test_another_address_of_a_shared_network_may_be_trusted() -> None:
    """An orchestrator on the same host has its own address in a network that no game is in."""
    door = trust(FakeEngine(), "172.17.0.9/32")
    door.check()
    assert door.trusted("172.17.0.9")


def test_what_was_found_holds_while_docker_is_away() -> None:
    """An orchestrator is told that Docker is away, and not that it has no key."""
    engine = FakeEngine()
    door = trust(engine, "192.0.2.7/32")
    door.check()
    engine.away = True
    with pytest.raises(DockerUnavailable):
        door.check()
    assert door.trusted("192.0.2.7")


def test_a_network_made_later_closes_the_door() -> None:
    """Docker can make one over the addresses that were named."""
    engine = FakeEngine()
    door = trust(engine, "192.0.2.0/24")
    door.check()
    engine.networks.append(network("late", "192.0.2.0/24", "192.0.2.1"))
    door.check()
    assert not door.trusted("192.0.2.7")
