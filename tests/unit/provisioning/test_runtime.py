"""What the runtime's loops do beside the servers: the orchestrator's network, and what a predecessor left."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from compose.container import Network
from compose.network import NETWORK
from core.errors import StoreFailed
from core.settings import load_settings
from provisioning.layout import Layout
from provisioning.runtime import Runtime

OWN, THEIRS = "c-agent", "orchestrator_satisfactory-network"


@dataclass
class Engine:
    """Two networks, and who was put on which, by which name."""

    members: dict[str, dict[str, str]] = field(default_factory=lambda: {NETWORK: {OWN: "agent"}, THEIRS: {}})
    joined: list[tuple[str, str]] = field(default_factory=list)

    def networks(self, name: str) -> list[Network]:
        """Return the one of this name, where it is there."""
        there = {name: self.members[name]} if name in self.members else {}
        return [Network(name, name, "2026-01-01", {}, members, (), ()) for name, members in there.items()]

    def connect(self, network_id: str, container: str, _aliases: list[str]) -> None:
        """Put a container on one."""
        self.joined.append((network_id, container))
        self.members[network_id][container] = "agent"


def runtime(folder: Path, engine: Engine, *, own: str | None = OWN, network: str = "") -> Runtime:
    """Return a runtime of which only these parts are used."""
    environ = {"HOST_AGENT_API_KEY": "0123456789abcdef", "ORCHESTRATOR_NETWORK": network}
    idle = cast("Any", SimpleNamespace)
    hands = idle(
        settings=load_settings(environ),
        layout=Layout(folder),
        engine=engine,
        own_container=own,
        instances=idle(step=lambda: 1.0, released=None),
        watchdog=idle(step=lambda: 1.0),
        supervisor=idle(adopt=lambda: None, end_strays=lambda: None),
    )
    reconciler = idle(start=lambda: None, drop_gone=lambda: 1.0)
    nothing = idle(step=lambda: 1.0, check=lambda: None, network_changed=threading.Event())
    return Runtime(nothing, hands, reconciler, nothing, nothing, nothing, None)


@pytest.mark.parametrize(("network", "joined"), [(THEIRS, [(THEIRS, OWN)]), ("", []), ("not-there-yet", [])])
def test_the_agent_joins_the_orchestrators_network(tmp_path: Path, network: str, joined: list[tuple[str, str]]) -> None:
    """Where one is named and there; once, whatever was looked at how often."""
    engine = Engine()
    agent = runtime(tmp_path, engine, network=network)
    for _ in range(2):
        agent._tend_network()
    assert engine.joined == joined


def test_a_network_that_comes_later_is_joined_then(tmp_path: Path) -> None:
    """The orchestrator may be started after the agent."""
    engine = Engine(members={NETWORK: {OWN: "agent"}})
    agent = runtime(tmp_path, engine, network=THEIRS)
    agent._tend_network()
    engine.members[THEIRS] = {}
    agent._tend_network()
    assert engine.joined == [(THEIRS, OWN)]


def test_an_agent_outside_a_container_joins_nothing(tmp_path: Path) -> None:
    """There is no container to put on it."""
    engine = Engine()
    runtime(tmp_path, engine, own=None, network=THEIRS)._tend_network()
    assert engine.joined == []


def test_what_a_predecessor_had_put_aside_is_removed(tmp_path: Path) -> None:
    """A delete may have died between its rename and its removal; once, since what comes later is under way."""
    trash = Layout(tmp_path).trash
    (trash / "0017" / "data").mkdir(parents=True)
    (trash / "0017" / "data" / "world.sav").write_text("old")
    agent = runtime(tmp_path, Engine())
    agent._tend_keepers()
    assert list(trash.iterdir()) == []
    (trash / "0018").mkdir()
    agent._tend_keepers()
    assert [folder.name for folder in trash.iterdir()] == ["0018"]


def test_trash_that_cannot_be_removed_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next folder goes all the same, and the servers are kept."""
    trash = Layout(tmp_path).trash
    for name in ("a", "b", "c"):
        (trash / name).mkdir(parents=True)
    tried = []

    def remove(folder: Path) -> None:
        tried.append(folder.name)
        raise StoreFailed("directory_not_removed", "Cannot remove it: Operation not permitted.")

    monkeypatch.setattr("provisioning.runtime.remove_tree", remove)
    assert runtime(tmp_path, Engine())._tend_keepers() == 1.0
    assert sorted(tried) == ["a", "b", "c"]
