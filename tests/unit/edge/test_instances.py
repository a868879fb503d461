"""Instances on disk: what outlives a restart, and what a damaged file does."""

import stat
from pathlib import Path

import pytest

from core.errors import StoreFailed
from edge.instances import Instance, InstanceStore

ONE = Instance(server_id="srv_1", game_port=30000, query_port=30001, control_port=20000)
TWO = Instance(server_id="srv_2", game_port=30002, query_port=30003, control_port=20001)


@pytest.fixture
def store(tmp_path: Path) -> InstanceStore:
    """Return a store with two instances."""
    store = InstanceStore(tmp_path / "instances")
    assert store.load() == []
    store.save(ONE)
    store.save(TWO)
    return store


def test_saved_is_loaded(store: InstanceStore) -> None:
    """Ports and token come back as they were."""
    assert store.load() == [ONE, TWO]


def test_the_record_is_private(store: InstanceStore) -> None:
    """The token is readable by its owner only."""
    folder = store.folder("srv_1")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "instance.json").stat().st_mode) == 0o600


def test_removed_is_gone(store: InstanceStore) -> None:
    """Nothing of a removed instance stays; removing it twice is fine."""
    store.remove("srv_1")
    store.remove("srv_1")
    assert store.load() == [TWO]
    assert not store.folder("srv_1").exists()


def test_save_begins_with_an_empty_folder(store: InstanceStore) -> None:
    """A log of an earlier instance of the same id is not taken for the new one's."""
    (store.folder("srv_1") / "server.log").write_text("Listening at 0.0.0.0:20000")
    store.save(ONE)
    assert [path.name for path in store.folder("srv_1").iterdir()] == ["instance.json"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"server_id": "srv_1"}', TWO.model_dump_json(), '{"server_id": 1}']
)
def test_a_damaged_record_costs_one_instance_only(store: InstanceStore, content: str) -> None:
    """The others are loaded all the same, and the damaged one can be made anew."""
    (store.folder("srv_1") / "instance.json").write_text(content)
    assert store.load() == [TWO]
    store.save(ONE)
    assert store.load() == [ONE, TWO]


def test_what_a_crash_left_is_cleared(store: InstanceStore) -> None:
    """A folder without its record was half made or half removed: it is no instance."""
    (store.folder("srv_1") / "instance.json").unlink()
    assert store.load() == [TWO]
    assert not store.folder("srv_1").exists()


def test_a_disk_that_refuses_is_named(tmp_path: Path) -> None:
    """A store that cannot write says so."""
    (tmp_path / "instances").write_text("not a folder")
    with pytest.raises(StoreFailed):
        InstanceStore(tmp_path / "instances").save(ONE)
