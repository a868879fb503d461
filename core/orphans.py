"""The table of instances that the manager still has for servers that we no longer tunnel."""

from core.clock import utc_now
from core.failpoints import Failpoint
from core.store import Store


class OrphanTable:
    """Reads and writes the orphaned instances; each blocks nothing and is taken off in its own time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, server_id: str) -> None:
        """Remember that the manager's instance of this server is to go."""
        self._store.change(
            Failpoint.INSTANCE_RELEASED,
            "INSERT OR IGNORE INTO orphan_instances VALUES (?, ?)",
            (server_id, utc_now()),
        )

    def find(self, server_id: str) -> str | None:
        """Return the id as the manager, which tells cases apart, spells it; None where it has nothing that is to go."""
        row = self._store.row("SELECT server_id FROM orphan_instances WHERE server_id = ?", (server_id,))
        return row["server_id"] if row else None

    def all(self) -> list[str]:
        """Return the ids whose instances are to go."""
        return [row["server_id"] for row in self._store.rows("SELECT server_id FROM orphan_instances ORDER BY since")]

    def remove(self, server_id: str) -> None:
        """The manager has it no more."""
        self._store.change(Failpoint.ORPHAN_REMOVED, "DELETE FROM orphan_instances WHERE server_id = ?", (server_id,))
