"""What belongs to no server is said once, and removed only where the operator gave it a grace."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from compose.container import Container
from compose.file import SERVER_LABEL
from core.servers import ServerTable
from core.settings import load_settings
from core.store import Store
from provisioning.dangling import Dangling
from provisioning.layout import Layout
from tests.unit.core.conftest import spec_of
from tests.unit.provisioning.test_crashes import FIRST, ID

_FOLDER = "com.docker.compose.project.working_dir"


class Host:
    """Docker's containers, and an agent with one server."""

    def __init__(self, root: Path, store: Store, grace: str = "") -> None:
        self.now = 1000.0
        self.there = [_container("c1", ID)]
        self.removed: list[str] = []
        self.layout = Layout(root)
        table = ServerTable(store)
        table.add(spec_of())
        settings = load_settings({"HOST_AGENT_API_KEY": "k" * 16, "DANGLING_GRACE": grace})
        self.dangling = Dangling(settings, self.layout, table, self, clock=lambda: self.now)  # type: ignore[arg-type]

    def containers(self) -> list[Container]:
        """Return those with the label."""
        return list(self.there)

    def remove(self, key: str) -> None:
        """Remove one."""
        self.removed.append(key)
        self.there = [found for found in self.there if found.id != key]

    def look(self) -> list[str]:
        """Look, and return the names of what belongs to nobody."""
        self.dangling.step()
        return [found.name for found in self.dangling.containers]


def _container(key: str, name: str, **labels: str) -> Container:
    return replace(FIRST, id=key, name=name, labels={SERVER_LABEL: name, **labels})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an empty store."""
    store = Store(tmp_path / "agent.db")
    yield store
    store.close()


def test_our_own_are_not_dangling(tmp_path: Path, store: Store) -> None:
    """Whatever the case of the label."""
    host = Host(tmp_path, store)
    host.there.append(_container("c2", ID.upper()))
    assert host.look() == []


def test_a_container_of_nobody_is_said_once(tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """It stays in the list as long as it is there, and is never touched."""
    host = Host(tmp_path, store)
    host.there += [_container("c2", "srv_lost_1"), _container("c3", "srv_lost_2", **{_FOLDER: f"{tmp_path}/x/y"})]
    for _ in range(3):
        host.now += 10**6
        assert host.look() == ["srv_lost_1", "srv_lost_2"]
    said = capsys.readouterr()
    assert (said.out + said.err).count("it is left alone") == 2
    assert not host.removed
    host.there.clear()
    assert host.look() == []


def test_another_agents_games_are_its_own(tmp_path: Path, store: Store) -> None:
    """A demo stands beside a real deployment; neither may end the other's games."""
    host = Host(tmp_path, store, grace="1")
    host.there.append(_container("c2", "srv_theirs", **{_FOLDER: "/other/satisfactory/srv_theirs"}))
    assert host.look() == []
    host.now += 100
    assert host.look() == []
    assert not host.removed


def test_a_grace_is_waited_for(tmp_path: Path, store: Store) -> None:
    """Only then is it removed, and ours never."""
    host = Host(tmp_path, store, grace="60")
    host.there.append(_container("c2", "srv_lost_1"))
    host.look()
    host.now += 59
    host.look()
    assert not host.removed
    host.now += 1
    host.look()
    assert host.removed == ["c2"]


def test_a_folder_of_nobody_is_said_once_and_kept(
    tmp_path: Path, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    """It may hold somebody's saves."""
    host = Host(tmp_path, store)
    lost = host.layout.data("srv_lost_1")
    for folder in (lost, host.layout.data(ID), host.layout.tunnel(ID)):
        folder.mkdir(parents=True)
    for _ in range(3):
        host.look()
    said = capsys.readouterr()
    assert (said.out + said.err).count("A folder belongs to no server") == 1
    assert lost.exists()
