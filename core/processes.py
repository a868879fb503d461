"""The table of processes: what we started and must know again after our own death."""

import json
import sqlite3
from typing import ClassVar

from core.failpoints import Failpoint
from core.proc import ProcessIdentity
from core.store import Store


class ProcessTable:
    """The processes of one kind, at most one for each server.

    Args:
        store: where they are kept.
        kind: what they are, `tunnel` or `compose`.
    """

    _POINTS: ClassVar = {
        "tunnel": (Failpoint.TUNNEL_RECORDED, Failpoint.TUNNEL_FORGOTTEN),
        "compose": (Failpoint.COMPOSE_RECORDED, Failpoint.COMPOSE_FORGOTTEN),
    }

    def __init__(self, store: Store, kind: str) -> None:
        self._store = store
        self._kind = kind
        self._recorded, self._forgotten = self._POINTS[kind]

    def record(self, server_id: str, identity: ProcessIdentity, started_at: str) -> None:
        """Keep the process of a server in place of the one before."""
        self._store.change(
            self._recorded,
            "INSERT OR REPLACE INTO processes VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._kind,
                server_id,
                identity.boot_id,
                identity.pid,
                identity.start_ticks,
                identity.executable,
                json.dumps(identity.argv),
                started_at,
            ),
        )

    def forget(self, server_id: str) -> None:
        """Drop the process of a server; none is fine."""
        self._store.change(
            self._forgotten, "DELETE FROM processes WHERE kind = ? AND server_id = ?", (self._kind, server_id)
        )

    def all(self) -> dict[str, tuple[ProcessIdentity, str]]:
        """Return identity and time of start of each, by server id."""
        rows = self._store.rows("SELECT * FROM processes WHERE kind = ?", (self._kind,))
        return {row["server_id"]: (_identity(row), row["started_at"]) for row in rows}


def _identity(row: sqlite3.Row) -> ProcessIdentity:
    return ProcessIdentity(
        row["boot_id"], row["pid"], row["start_ticks"], row["executable"], tuple(json.loads(row["argv"]))
    )
