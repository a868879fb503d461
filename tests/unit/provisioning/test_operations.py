"""Who joins an operation, and who is refused: above all a caller who comes again after the agent died."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from core.errors import Conflict, ShuttingDown, StoreFailed
from core.models import OperationKind
from core.operations import OperationTable
from core.servers import ServerTable
from core.store import Store
from provisioning.operations import Operations
from tests.unit.core.conftest import spec_of

ID = "srv_a_00000001"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return a store that has one server."""
    opened = Store(tmp_path / "agent" / "agent.db")
    ServerTable(opened).add(spec_of(serverId=ID))
    yield opened
    opened.close()


@pytest.fixture
def servers(store: Store) -> ServerTable:
    """Return the servers."""
    return ServerTable(store)


def agent(store: Store) -> Operations:
    """Return the operations as an agent that has just started knows them: all that it remembers is on disk."""
    return Operations(store, OperationTable(store))


@pytest.mark.parametrize("kind", set(OperationKind) - {OperationKind.RECONFIGURE})
def test_who_comes_again_joins(store: Store, kind: OperationKind) -> None:
    """Also where the agent died in between; what he wants is written down already."""
    begun = agent(store).begin(ID, kind, lambda: None)
    assert agent(store).begin(ID, kind, pytest.fail) == begun


def test_who_reconfigures_again_joins(store: Store, servers: ServerTable) -> None:
    """His request is the one under way, though it has arguments: it changes nothing of what is wanted."""
    change = partial(servers.update, ID, client_config="x", tunnel_wanted=True)
    begun = agent(store).begin(ID, OperationKind.RECONFIGURE, change)
    assert agent(store).begin(ID, OperationKind.RECONFIGURE, change) == begun


def test_who_reconfigures_otherwise_is_refused(store: Store, servers: ServerTable) -> None:
    """And nothing of what he wanted stays."""
    first = partial(servers.update, ID, client_config="x")
    begun = agent(store).begin(ID, OperationKind.RECONFIGURE, first)
    with pytest.raises(Conflict) as refused:
        agent(store).begin(ID, OperationKind.RECONFIGURE, partial(servers.update, ID, client_config="y"))
    assert refused.value.details["operation"] == begun.operation_id
    server = servers.get(ID)
    assert server
    assert server.client_config == "x"


def test_after_its_end_the_same_is_begun_anew(store: Store, servers: ServerTable) -> None:
    """Whoever asks for what is there already gets an operation that finds it there."""
    change = partial(servers.update, ID, client_config="x")
    operations = agent(store)
    begun = operations.begin(ID, OperationKind.RECONFIGURE, change)
    operations.end(begun)
    assert operations.begin(ID, OperationKind.RECONFIGURE, change) != begun


def test_who_waits_at_the_agents_end_is_told(store: Store) -> None:
    """What is under way stays so for the next agent; what has ended is told as it ended."""
    operations = agent(store)
    ended = operations.begin(ID, OperationKind.START, lambda: None)
    operations.end(ended)
    begun = operations.begin(ID, OperationKind.STOP, lambda: None)
    operations.park()
    operations.wait(ended, timeout=0)
    with pytest.raises(ShuttingDown, match="goes on once it is back") as told:
        operations.wait(begun, timeout=60)
    assert told.value.details["operation"] == begun.operation_id
    assert operations.until(lambda: False, timeout=60) is False
    assert agent(store).current(ID) == begun


_DESTROYING = {OperationKind.DELETE, OperationKind.KILL}


@pytest.fixture
def _full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a disk with 4 KiB left, into which SQLite can write a row or two still."""
    usage = shutil.disk_usage("/")._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)


@pytest.mark.usefixtures("_full_disk")
@pytest.mark.parametrize("kind", set(OperationKind) - _DESTROYING)
def test_on_a_full_disk_nothing_is_begun(store: Store, servers: ServerTable, kind: OperationKind) -> None:
    """It could be half done only; the sentence says how much room is needed."""
    with pytest.raises(StoreFailed, match="is full: 4 KiB are left, 8192 KiB are needed"):
        agent(store).begin(ID, kind, partial(servers.update, ID, client_config="x"))
    server = servers.get(ID)
    assert server
    assert (server.client_config, agent(store).current(ID)) == (None, None)


def test_who_comes_again_joins_on_a_full_disk(store: Store, request: pytest.FixtureRequest) -> None:
    """He begins nothing: what he waits for goes on, and its end is his answer."""
    begun = agent(store).begin(ID, OperationKind.STOP, lambda: None)
    request.getfixturevalue("_full_disk")
    assert agent(store).begin(ID, OperationKind.STOP, pytest.fail) == begun


@pytest.mark.usefixtures("_full_disk")
@pytest.mark.parametrize("kind", _DESTROYING)
def test_on_a_full_disk_what_makes_room_is_tried(store: Store, kind: OperationKind) -> None:
    """A deleted server is how room comes back."""
    assert agent(store).begin(ID, kind, lambda: None).kind is kind
