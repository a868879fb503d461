"""One network, whoever makes it."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from compose.container import Network
from compose.engine import Engine
from compose.network import ensure_member, ensure_network
from core.errors import ComposeFailed

NAME = "srv_t_network"


def network(key: str, *members: str, created: str = "2026-01-01T00:00:00Z", name: str = NAME) -> Network:
    """Return a network on which some containers run."""
    return Network(key, name, created, {}, {f"id-{member}": member for member in members}, (), ())


@dataclass
class Networks:
    """The part of an engine that knows networks, in memory; as Docker, it takes one name twice."""

    there: list[Network] = field(default_factory=list)
    labels: list[Mapping[str, str]] = field(default_factory=list)
    connected: list[tuple[str, str, list[str]]] = field(default_factory=list)

    def networks(self, name: str) -> list[Network]:
        """Return those of this name, the oldest first."""
        return sorted((found for found in self.there if found.name == name), key=lambda found: found.created)

    def create_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Make one, be there another or not."""
        self.labels.append(labels)
        self.there.append(network(f"made-{len(self.labels)}", name=name))

    def remove_network(self, network_id: str) -> None:
        """Remove one."""
        self.there = [found for found in self.there if found.id != network_id]

    def connect(self, network_id: str, container: str, aliases: Sequence[str]) -> None:
        """Note who was put where."""
        self.connected.append((network_id, container, list(aliases)))

    @property
    def engine(self) -> Engine:
        """This, under the name of the real thing."""
        return cast("Engine", self)


def test_a_missing_network_is_made_with_composes_label() -> None:
    """With the label, the agent's own compose file takes the network for its own."""
    docker = Networks()
    assert ensure_network(docker.engine, NAME).id == "made-1"
    assert docker.labels == [{"com.docker.compose.network": NAME}]


def test_a_network_that_is_there_is_kept() -> None:
    """Whoever made it: nothing is made or removed."""
    docker = Networks([network("a", "game"), network("b", name=NAME + "_2")])
    assert ensure_network(docker.engine, NAME).id == "a"
    assert [found.id for found in docker.there] == ["a", "b"]


def test_the_oldest_of_empty_twins_is_kept() -> None:
    """Two agents that meet the same twins keep the same one."""
    docker = Networks([network("young", created="2026-01-02"), network("old", created="2026-01-01")])
    assert ensure_network(docker.engine, NAME).id == "old"
    assert [found.id for found in docker.there] == ["old"]


def test_the_used_twin_is_kept() -> None:
    """A network on which a game runs stays, be it the younger."""
    docker = Networks([network("empty", created="2026-01-01"), network("used", "game", created="2026-01-02")])
    assert ensure_network(docker.engine, NAME).id == "used"
    assert [found.id for found in docker.there] == ["used"]


def test_two_used_twins_are_for_a_person() -> None:
    """Nothing is guessed: the sentence says who is where and what to do, and nothing is removed."""
    docker = Networks([network("one", "host-agent"), network("two", "srv_a"), network("three")])
    with pytest.raises(ComposeFailed) as caught:
        ensure_network(docker.engine, NAME)
    assert caught.value.code == "network_ambiguous"
    assert "one has host-agent; two has srv_a" in caught.value.message
    assert len(docker.there) == 3


def test_many_at_once_make_one() -> None:
    """Twenty spawns on a fresh host do not make twenty networks."""
    docker = Networks()
    gate = threading.Barrier(20)

    def ensure() -> None:
        gate.wait(timeout=10)
        ensure_network(docker.engine, NAME)

    threads = [threading.Thread(target=ensure, daemon=True) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert len(docker.there) == 1


def test_a_container_off_the_network_is_put_on_it() -> None:
    """The agent finds its games by their names only if it is on their network."""
    docker = Networks()
    assert ensure_member(docker.engine, network("a"), "id-agent", "host-agent")
    assert docker.connected == [("a", "id-agent", ["host-agent"])]


def test_a_member_is_left_alone() -> None:
    """Joining twice is an error to Docker."""
    docker = Networks()
    assert not ensure_member(docker.engine, network("a", "agent"), "id-agent", "host-agent")
    assert docker.connected == []
