"""An instance that refuses its client while the manager answers is made anew, a few times."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.orphans import OrphanTable
from core.servers import Server, ServerTable
from core.settings import load_settings
from core.store import Store
from provisioning.asker import Asker
from provisioning.instances import Instances
from rathole.manager import InstanceManager
from tests.fakes.manager import FakeManager
from tests.unit.core.conftest import spec_of

ID = "srv_a_00000001"


class Stage:
    """A manager that listens, and one server with an instance there."""

    def __init__(self, manager: FakeManager, store: Store) -> None:
        self.now = 1000.0
        self.manager = manager
        settings = load_settings(
            {
                "HOST_AGENT_API_KEY": "k" * 16,
                "RATHOLE_INSTANCE_MANAGER_HOST": "127.0.0.1",
                "RATHOLE_INSTANCE_MANAGER_PORT": str(manager.port),
            }
        )
        self.table = ServerTable(store)
        self.table.add(spec_of())
        client = InstanceManager(settings)
        self.instances = Instances(client, settings, self.table, OrphanTable(store), clock=lambda: self.now)
        self.instances.ask(self.server, Asker())
        self.manager.seen.clear()

    @property
    def server(self) -> Server:
        """The row as it is now."""
        found = self.table.get(ID)
        assert found
        return found

    @property
    def calls(self) -> list[str]:
        """The methods that the manager was called by, in turn."""
        return [seen.method for seen in self.manager.seen]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Return a server with an instance."""
    manager, store = FakeManager(), Store(tmp_path / "agent.db")
    yield Stage(manager, store)
    manager.close()
    store.close()


def test_it_is_removed_and_made_again(stage: Stage) -> None:
    """The row then has what the new one answers."""
    stage.instances.remake(stage.server, Asker())
    assert stage.calls[:2] == ["DELETE", "POST"]
    assert stage.instances.fault(ID) is None
    assert stage.server.client_config


def test_three_times_in_ten_minutes(stage: Stage) -> None:
    """Players may have to type another port after each."""
    for _ in range(3):
        assert stage.instances.may_remake(ID)
        stage.instances.remake(stage.server, Asker())
    assert not stage.instances.may_remake(ID)
    stage.now += 600
    assert stage.instances.may_remake(ID)


def test_a_manager_that_is_away_costs_nothing(stage: Stage) -> None:
    """What could not be removed was not made anew; the fault is told, and the old configuration kept."""
    stage.manager.say(500, {"status": "error", "message": "no"})
    before = stage.server.client_config
    stage.instances.remake(stage.server, Asker())
    assert stage.instances.may_remake(ID)
    assert stage.instances.fault(ID) is not None
    assert stage.server.client_config == before
    assert "POST" not in stage.calls
