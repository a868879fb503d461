"""A store that is damaged or lost, built again from what stands beside each server's data."""

from dataclasses import dataclass
from pathlib import Path

from core.errors import AgentError, Conflict, StoreFailed
from core.ownership import DataLock
from core.servers import ServerTable
from core.store import Store
from provisioning.layout import Layout
from provisioning.record import read_record

_WAL = ("", "-wal", "-shm")  # what SQLite keeps beside its file belongs to it


@dataclass(frozen=True)
class Recovered:
    """What came of it.

    Attributes:
        servers: the ids that the store knows again.
        left_out: a sentence for each file that could not be used.
        kept: where the damaged store is now; None where there was none.
    """

    servers: tuple[str, ...]
    left_out: tuple[str, ...]
    kept: Path | None


def recover(layout: Layout, moment: str) -> Recovered:
    """Build the store again; the damaged one is kept beside it.

    Args:
        layout: where everything is.
        moment: now, as a part of a file's name.

    Raises:
        Conflict: the agent runs, or the store is sound and knows servers.
        StoreFailed: the new store cannot be written.
    """
    # The lock is held until this process ends.
    lock = DataLock(layout.lock)
    if not lock.acquire(lambda: False):
        raise Conflict("agent_runs", "The agent runs on this data directory; stop its container first.")
    kept = _set_aside(layout.database, moment)
    store = Store(layout.database)
    try:
        return _fill(ServerTable(store), sorted(layout.servers.glob("*/server.json")), kept)
    finally:
        store.close()


def _set_aside(database: Path, moment: str) -> Path | None:
    """Move a damaged store out of the way; one that is sound and empty may be filled."""
    if not database.exists():
        return None
    store = Store(database)
    try:
        store.check()
        servers = ServerTable(store).count()
    except StoreFailed:
        return _move(database, moment)
    finally:
        store.close()
    if servers:
        raise Conflict("store_sound", f"{database} is sound and knows {servers} servers; there is nothing to recover.")
    return None


def _move(database: Path, moment: str) -> Path:
    kept = database.with_name(f"{database.name}.damaged-{moment}")
    for suffix in _WAL:
        part = database.with_name(f"{database.name}{suffix}")
        if part.exists():
            part.rename(kept.with_name(f"{kept.name}{suffix}"))
    return kept


def _fill(table: ServerTable, records: list[Path], kept: Path | None) -> Recovered:
    servers, left_out = [], []
    for path in records:
        try:
            server = read_record(path)
            table.restore(server)
        except AgentError as error:
            left_out.append(error.message)
        else:
            servers.append(server.server_id)
    return Recovered(tuple(servers), tuple(left_out), kept)
