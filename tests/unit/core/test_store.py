"""The store: whole after every death, private, and honest about damage."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.errors import StoreFailed
from core.failpoints import Failpoint
from core.schema import MIGRATIONS
from core.store import Store

ALL = "SELECT * FROM orphan_instances"
POINT = Failpoint.SERVER_WRITTEN
INSERT = "INSERT INTO orphan_instances VALUES (?, 'now')"


def ids(store: Store) -> list[str]:
    """Return what the tests put in."""
    return [row["server_id"] for row in store.rows("SELECT server_id FROM orphan_instances ORDER BY server_id")]


def path_of(store: Store) -> Path:
    """Return the database file."""
    return store._path


def test_a_new_store_is_at_the_newest_version(store: Store) -> None:
    """All migrations ran, in strict tables."""
    row = store.row("PRAGMA user_version")
    assert row is not None
    assert row[0] == len(MIGRATIONS)
    tables = store.rows("PRAGMA table_list")
    ours = {table["name"] for table in tables if table["strict"]}
    assert {"servers", "ports", "operations", "processes", "orphan_instances"} <= ours


def test_what_is_written_is_there_after_a_restart(store: Store) -> None:
    """A second agent reads what the first wrote, and runs no migration twice."""
    store.change(POINT, INSERT, ("a",))
    store.close()
    again = Store(path_of(store))
    assert ids(again) == ["a"]
    again.close()


def test_every_write_is_synced(store: Store) -> None:
    """WAL with FULL: a commit is on disk before it counts."""
    assert [row[0] for row in store.rows("PRAGMA journal_mode")] == ["wal"]
    assert [row[0] for row in store.rows("PRAGMA synchronous")] == [2]
    assert [row[0] for row in store.rows("PRAGMA foreign_keys")] == [1]


def test_only_the_owner_reads_it(store: Store) -> None:
    """The file, its log and its index hold passwords."""
    store.change(POINT, INSERT, ("a",))
    files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path_of(store).parent.iterdir()}
    assert files == dict.fromkeys(("agent.db", "agent.db-wal", "agent.db-shm"), 0o600)
    assert stat.S_IMODE(path_of(store).parent.stat().st_mode) == 0o700


def test_a_store_that_others_could_read_is_made_private(store: Store) -> None:
    """As after a copy back from a backup."""
    store.check()
    store.close()
    path_of(store).chmod(0o644)
    again = Store(path_of(store))
    again.change(POINT, INSERT, ("a",))
    assert {stat.S_IMODE(file.stat().st_mode) for file in path_of(store).parent.iterdir()} == {0o600}
    again.close()


def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    """An error in it, of whatever kind, leaves nothing of it, and the store works on."""

    def fail_halfway() -> None:
        with store.transaction(POINT):
            store.change(POINT, INSERT, ("a",))
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    assert ids(store) == []
    with store.transaction(POINT):
        store.change(POINT, INSERT, ("b",))
        store.change(POINT, INSERT, ("c",))
    assert ids(store) == ["b", "c"]


def test_a_transaction_in_another_is_part_of_it(store: Store) -> None:
    """The outer one decides."""

    def fail_outside() -> None:
        with store.transaction(POINT):
            with store.transaction(POINT):
                store.change(POINT, INSERT, ("a",))
            raise KeyError

    with pytest.raises(KeyError):
        fail_outside()
    assert ids(store) == []


def test_a_contradiction_is_told_apart(store: Store) -> None:
    """A row that is there already is no failure of the store."""
    store.change(POINT, INSERT, ("a",))
    with pytest.raises(sqlite3.IntegrityError):
        store.change(POINT, INSERT, ("A",))
    assert ids(store) == ["a"]


def test_another_errors_cause_stays_its_own(store: Store) -> None:
    """What fails for another reason inside a transaction is not said to be the store's fault."""

    def fail_elsewhere() -> None:
        with store.transaction(POINT):
            raise FileNotFoundError("docker")

    with pytest.raises(FileNotFoundError, match="docker"):
        fail_elsewhere()


def test_threads_do_not_mix(store: Store) -> None:
    """Eight threads write at once: every transaction is whole, and none is lost."""

    def write(name: int) -> None:
        for number in range(20):
            with store.transaction(POINT):
                store.change(POINT, INSERT, (f"{name}-{number}-x",))
                store.change(POINT, INSERT, (f"{name}-{number}-y",))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(ids(store)) == 8 * 20 * 2


def test_a_killed_agent_leaves_nothing_of_its_transaction(tmp_path: Path) -> None:
    """Killed with -9 in the middle: what was committed is there, what was not is not, and the store is sound."""
    path = tmp_path / "agent.db"
    code = f"""
import os
from pathlib import Path
from core.failpoints import Failpoint
from core.store import Store
store = Store(Path({str(path)!r}))
store.change(Failpoint.SERVER_WRITTEN, {INSERT!r}, ("committed",))
with store.transaction(Failpoint.SERVER_WRITTEN):
    store.change(Failpoint.SERVER_WRITTEN, {INSERT!r}, ("begun",))
    os.kill(os.getpid(), 9)
"""
    killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=30)
    assert killed.returncode == -signal.SIGKILL
    store = Store(path)
    assert ids(store) == ["committed"]
    store.check()
    store.close()


def test_a_killed_first_start_is_made_good(tmp_path: Path) -> None:
    """An empty file, which a start that was killed leaves, becomes a store."""
    path = tmp_path / "agent.db"
    path.touch()
    store = Store(path)
    assert ids(store) == []
    store.close()


@pytest.mark.parametrize("content", [b"this is no database " * 300, b"SQLite format 3\x00" + b"\xff" * 8000])
def test_a_file_that_is_no_store_is_said(tmp_path: Path, content: bytes) -> None:
    """The sentence names the file; the file stays for whoever wants to look at it."""
    path = tmp_path / "agent.db"
    path.write_bytes(content)
    store = Store(path)
    with pytest.raises(StoreFailed, match=r"^The store .*agent\.db cannot be used: ") as failed:
        store.check()
    assert failed.value.code == "store_failed"
    assert path.read_bytes() == content


def test_a_store_that_is_put_right_is_used(tmp_path: Path) -> None:
    """What could not be opened is tried again at the next use, so an operator need not restart the agent."""
    path = tmp_path / "agent.db"
    path.write_text("this is no database " * 300)
    store = Store(path)
    for _ in range(2):
        with pytest.raises(StoreFailed):
            store.change(POINT, INSERT, ("a",))
    path.unlink()
    store.change(POINT, INSERT, ("a",))
    assert ids(store) == ["a"]
    store.close()


def test_damage_inside_is_found(store: Store) -> None:
    """A store whose pages were overwritten opens, and its check says that it is damaged."""
    for number in range(500):
        store.change(POINT, INSERT, (f"srv-{number:060d}",))
    store.close()
    size = path_of(store).stat().st_size
    with path_of(store).open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(size // 4))
    damaged = Store(path_of(store))
    with pytest.raises(StoreFailed, match=r"agent\.db (is damaged|cannot be used): "):
        damaged.check()
    damaged.close()


def test_a_sound_store_passes(store: Store) -> None:
    """Nothing is raised."""
    store.check()


def test_a_store_of_a_newer_agent_is_left_alone(store: Store) -> None:
    """An older agent would not know what its columns mean."""
    store.change(POINT, "PRAGMA user_version = 999")
    store.close()
    with pytest.raises(StoreFailed, match=r"newer agent \(version 999\)") as failed:
        store.check()
    assert failed.value.code == "store_too_new"


def test_looking_at_the_version_makes_nothing(tmp_path: Path) -> None:
    """Where there is no store yet, its owner makes it."""
    Store(tmp_path / "agent.db").check_version()
    assert list(tmp_path.iterdir()) == []


def test_a_migration_that_fails_leaves_the_store_as_it_was(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a migration would be a version that nobody knows."""
    store.change(POINT, INSERT, ("a",))
    store.close()
    broken = "CREATE TABLE half (x TEXT) STRICT; SELECT nonsense FROM nowhere;"
    with monkeypatch.context() as patch:
        patch.setattr("core.store.MIGRATIONS", (*MIGRATIONS, broken))
        with pytest.raises(StoreFailed, match="nowhere"):
            store.check()
    again = Store(path_of(store))
    assert ids(again) == ["a"]
    assert again.row("SELECT 1 FROM sqlite_schema WHERE name = 'half'") is None
    again.close()


def test_a_migration_that_is_new_is_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store of an older agent keeps its rows."""
    store.change(POINT, INSERT, ("a",))
    store.close()
    newer = "ALTER TABLE orphan_instances ADD COLUMN tries INTEGER NOT NULL DEFAULT 7;"
    monkeypatch.setattr("core.store.MIGRATIONS", (*MIGRATIONS, newer))
    again = Store(path_of(store))
    assert [tuple(row) for row in again.rows("SELECT server_id, tries FROM orphan_instances")] == [("a", 7)]
    again.close()


def test_a_place_that_cannot_hold_a_store_is_said(tmp_path: Path) -> None:
    """A folder in the file's place."""
    (tmp_path / "agent.db").mkdir()
    with pytest.raises(StoreFailed, match=r"^The store .*agent\.db cannot be "):
        Store(tmp_path / "agent.db").check()


def test_a_full_disk_is_said_and_outlived(tmp_path: Path) -> None:
    """Where a file can grow no more, the change fails in words, nothing of it stays, and reads go on."""
    path = tmp_path / "agent.db"
    code = f"""
import resource, signal
from pathlib import Path
from core.errors import StoreFailed
from core.failpoints import Failpoint
from core.store import Store
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = Store(Path({str(path)!r}))
store.change(Failpoint.SERVER_WRITTEN, {INSERT!r}, ("small",))
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
try:
    store.change(Failpoint.SERVER_WRITTEN, {INSERT!r}, ("x" * 1_000_000,))
except StoreFailed as error:
    print(error.code, len(store.rows({ALL!r})))
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
store.change(Failpoint.SERVER_WRITTEN, {INSERT!r}, ("later",))
print(len(store.rows({ALL!r})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert (done.stdout, done.stderr) == ("store_failed 1\n2\n", "")
