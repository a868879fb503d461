"""The SQLite store: one file, one connection, every change on disk before it counts."""

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.errors import StoreFailed
from core.failpoints import Failpoint, reached
from core.files import PRIVATE_FILE, make_private_directory
from core.schema import MIGRATIONS

# A WAL grows to 4 MiB before it is folded in; the files of a server take some KiB.
_ROOM_BYTES = 8 * 1024**2


class Store:
    """Owns the connection; the tables' own modules say what is in them.

    Safe to use from many threads: one transaction at a time (0.2 ms each, measured with
    `synchronous=FULL` on a local disk).

    It is opened at its first use, and tried again at the next where that failed: a full disk, or a damaged
    file, does not end the agent, which goes on saying what is wrong.

    Args:
        path: the database file, made with mode 0600 where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._opened: sqlite3.Connection | None = None

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> sqlite3.Connection:
        make_private_directory(self._path.parent)
        _make_private_file(self._path)
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 5000"):
                connection.execute(f"PRAGMA {pragma}")
            self._migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        version = self._version(connection)
        for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
            connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number}; COMMIT;")

    def _version(self, connection: sqlite3.Connection) -> int:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise StoreFailed(
                "store_too_new",
                f"{self._path} was written by a newer agent (version {version}); install that one again.",
            )
        return int(version)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise StoreFailed("store_failed", f"The store {self._path} cannot be used: {error}.") from error

    @contextlib.contextmanager
    def transaction(self, name: Failpoint) -> Iterator[None]:
        """Make the changes inside one: all on disk when the block ends, none if it raises.

        Args:
            name: the failpoint behind it; inside another transaction that one's counts.

        Raises:
            StoreFailed: the disk is full, the file is damaged, or a newer agent wrote it.
            sqlite3.IntegrityError: a row contradicts another; the table's module says which.
        """
        with self._lock, self._translated():
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                # A full disk has already rolled back (tried); then there is nothing left to undo.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            reached(name)

    def change(self, name: Failpoint, statement: str, values: Sequence[Any] = ()) -> int:
        """Run one INSERT, UPDATE or DELETE in a transaction; return how many rows it touched."""
        with self.transaction(name):
            return self._connection.execute(statement, values).rowcount

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a SELECT."""
        with self._lock, self._translated():
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Return the first row of a SELECT, or None."""
        return next(iter(self.rows(query, values)), None)

    def check_room(self) -> None:
        """Raise StoreFailed where the disk has less than 8 MiB left.

        A full disk does not stop every write: some still fit into what SQLite's WAL has of it (tried).
        """
        free = shutil.disk_usage(self._path.parent).free
        if free < _ROOM_BYTES:
            raise StoreFailed(
                "disk_full",
                f"The disk that holds {self._path.parent} is full: {free // 1024} KiB are left, "
                f"{_ROOM_BYTES // 1024} KiB are needed. Make room; nothing was begun.",
            )

    def check_version(self) -> None:
        """Raise StoreFailed where a newer agent wrote the file. It only looks: another agent may own the file still."""
        if self._path.exists():
            address = f"{self._path.absolute().as_uri()}?mode=ro"
            with self._translated(), contextlib.closing(sqlite3.connect(address, uri=True)) as connection:
                self._version(connection)

    def check(self) -> None:
        """Raise StoreFailed where the file is damaged or cannot be read."""
        findings = [row[0] for row in self.rows("PRAGMA quick_check(1)")]
        if findings != ["ok"]:
            raise StoreFailed("store_damaged", f"The store {self._path} is damaged: {findings[0]}.")

    def close(self) -> None:
        """Close the connection; the next use opens it again."""
        with self._lock:
            if self._opened:
                self._opened.close()
                self._opened = None


def _make_private_file(path: Path) -> None:
    """Make the file where it is missing; SQLite gives -wal and -shm the permissions of the file itself."""
    try:
        path.touch(PRIVATE_FILE)
        path.chmod(PRIVATE_FILE)
    except OSError as error:
        raise StoreFailed("store_failed", f"The store {path} cannot be opened: {error.strerror}.") from error
