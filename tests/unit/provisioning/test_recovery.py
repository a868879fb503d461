"""A store that is lost is built again from the files beside each server's data."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import Conflict, StoreFailed
from core.models import Ports, ServerSpec
from core.ownership import DataLock
from core.servers import Server, ServerTable
from core.store import Store
from provisioning.layout import Layout
from provisioning.record import keep_record, read_record
from provisioning.recovery import Recovered, recover

SPEC = ServerSpec.model_validate(
    {
        "serverId": "srv_a_00000001",
        "serverName": "Würfel & Söhne",
        "gamePort": 30000,
        "beaconPort": 30001,
        "ramAllocation": 4,
        "cpuAllocation": 2,
        "maxPlayers": 4,
        "serverPassword": "marked",
        "environmentVariables": {"AUTOSAVENUM": "3"},
    }
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """Return a data directory with one stopped server in its store, and its file beside it."""
    layout = Layout(tmp_path)
    store = Store(layout.database)
    table = ServerTable(store)
    table.add(SPEC)
    table.set_public(SPEC.server_id, Ports(40000, 40001), "203.0.113.9")
    table.update(SPEC.server_id, container_wanted=False, client_config="a config", restart_from="then", deaths="{}")
    keep_record(layout.record(SPEC.server_id), known(layout))
    store.close()
    return layout


def known(layout: Layout) -> Server:
    """Return the server as the store has it."""
    store = Store(layout.database)
    try:
        (server,) = ServerTable(store).all()
    finally:
        store.close()
    return server


def damage(layout: Layout) -> bytes:
    """Make the store unreadable; return what is in it then."""
    rubbish = b"This is no database. " * 500
    layout.database.write_bytes(rubbish)
    return rubbish


def test_a_damaged_store_comes_back_as_it_was(layout: Layout) -> None:
    """Request, wishes, the manager's word and the time; what is found by looking is left to that."""
    before = known(layout)
    rubbish = damage(layout)
    done = recover(layout, "now")
    assert done == Recovered((SPEC.server_id,), (), layout.database.with_name("agent.db.damaged-now"))
    assert known(layout) == replace(before, restart_from=None, deaths=None)
    assert done.kept is not None
    assert done.kept.read_bytes() == rubbish


def test_a_store_that_is_gone_comes_back(layout: Layout) -> None:
    """With it go the files that SQLite keeps beside it; there is nothing to set aside."""
    layout.database.unlink()
    assert recover(layout, "now").kept is None
    assert known(layout).public_ports == Ports(40000, 40001)


def test_an_empty_store_is_filled(layout: Layout) -> None:
    """An agent that ran since has made one."""
    layout.database.unlink()
    Store(layout.database).check()
    assert recover(layout, "now") == Recovered((SPEC.server_id,), (), None)


def test_a_sound_store_is_left_alone(layout: Layout) -> None:
    """It knows better than the files."""
    with pytest.raises(Conflict, match="sound and knows 1 servers"):
        recover(layout, "now")
    assert [path.name for path in layout.database.parent.glob("*damaged*")] == []


def test_a_running_agents_store_is_left_alone(layout: Layout) -> None:
    """Two that write one store would damage it for good."""
    damage(layout)
    agent = DataLock(layout.lock)
    assert agent.acquire(lambda: False)
    with pytest.raises(Conflict, match="stop its container first"):
        recover(layout, "now")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"spec": {}}', '{"spec": {"serverPassword": "marked"}}'])
def test_a_file_that_is_none_is_named_and_the_others_are_used(layout: Layout, text: str) -> None:
    """Without what stands in it."""
    damage(layout)
    other = layout.record("srv_b_00000001")
    other.parent.mkdir()
    other.write_text(text)
    done = recover(layout, "now")
    assert done.servers == (SPEC.server_id,)
    assert len(done.left_out) == 1
    assert str(other) in done.left_out[0]
    assert "marked" not in done.left_out[0]


def test_two_servers_with_one_port_do_not_both_come_back(layout: Layout) -> None:
    """A folder copied by hand must not take a server's ports from it."""
    damage(layout)
    twin = replace(read_record(layout.record(SPEC.server_id)), spec=SPEC.model_copy(update={"server_id": "srv_b"}))
    keep_record(layout.record("srv_b"), twin)
    done = recover(layout, "now")
    assert done.servers == (SPEC.server_id,)
    assert "belongs to srv_a_00000001" in done.left_out[0]


def test_the_file_is_private_and_follows_the_row(layout: Layout) -> None:
    """It holds the password; it is written anew where the row differs, and only there."""
    path = layout.record(SPEC.server_id)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.stat().st_ino
    server = known(layout)
    keep_record(path, server)
    assert path.stat().st_ino == before
    keep_record(path, replace(server, crashed=True))
    assert read_record(path).crashed


def test_the_file_of_a_server_that_goes_does_not_come_back(layout: Layout) -> None:
    """While it is there it says that the server is to go, so that a recovery goes on with that."""
    path = layout.record(SPEC.server_id)
    going = replace(known(layout), deleting=True)
    keep_record(path, going)
    assert read_record(path).deleting
    path.unlink()
    keep_record(path, going)
    assert not path.exists()


def test_a_full_disk_is_said(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file stays as it was."""
    path = layout.record(SPEC.server_id)
    before = path.read_text()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreFailed, match="No space left"):
        keep_record(path, replace(known(layout), crashed=True))
    assert path.read_text() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
