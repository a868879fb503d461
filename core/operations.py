"""The table of operations: what was asked for, how far it is, how it ended."""

import secrets
import sqlite3
import time
from dataclasses import dataclass

from core.clock import utc_now
from core.errors import AgentError
from core.models import OperationKind, OperationStatus
from core.store import Store

_OPEN = (OperationStatus.PENDING, OperationStatus.RUNNING)


@dataclass(frozen=True)
class Operation:
    """One row.

    Attributes:
        operation_id: sortable by time, unique.
        server_id: whose it is.
        kind: what is being done.
        status: how far it is.
        step: what it is at, None before the first.
        started_at: when it was asked for, ISO 8601.
        ended_at: when it ended, None while it runs.
        error_code: why it failed.
        error_message: the same, as a sentence.
    """

    operation_id: str
    server_id: str
    kind: OperationKind
    status: OperationStatus
    step: str | None
    started_at: str
    ended_at: str | None
    error_code: str | None
    error_message: str | None

    @property
    def is_open(self) -> bool:
        """Whether it is still under way."""
        return self.status in _OPEN


class OperationTable:
    """Reads and writes the operations."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, server_id: str, kind: OperationKind) -> Operation:
        """Write a new operation down, before anything of it is done."""
        operation_id = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        self._store.change(
            "INSERT INTO operations (operation_id, server_id, kind, status, started_at) VALUES (?, ?, ?, ?, ?)",
            (operation_id, server_id, kind, OperationStatus.PENDING, utc_now()),
        )
        return self.get(operation_id)

    def get(self, operation_id: str) -> Operation:
        """Return the operation of this id, which must exist."""
        row = self._store.row("SELECT * FROM operations WHERE operation_id = ?", (operation_id,))
        if row is None:
            raise LookupError(operation_id)
        return _operation(row)

    def open_for(self, server_id: str) -> Operation | None:
        """Return the newest operation of a server that has not ended."""
        return self._newest(f"server_id = ? AND status IN {_OPEN_SQL}", server_id)

    def last_for(self, server_id: str) -> Operation | None:
        """Return the newest operation of a server."""
        return self._newest("server_id = ?", server_id)

    def _newest(self, condition: str, server_id: str) -> Operation | None:
        row = self._store.row(
            f"SELECT * FROM operations WHERE {condition} ORDER BY operation_id DESC LIMIT 1",  # noqa: S608 - ours
            (server_id,),
        )
        return _operation(row) if row else None

    def at_step(self, operation_id: str, step: str) -> None:
        """Write down which step is about to be taken."""
        self._store.change(
            "UPDATE operations SET status = ?, step = ? WHERE operation_id = ? AND ended_at IS NULL",
            (OperationStatus.RUNNING, step, operation_id),
        )

    def succeed(self, operation_id: str) -> None:
        """Write down that it is done."""
        self._end(operation_id, OperationStatus.SUCCEEDED, None)

    def fail(self, operation_id: str, error: AgentError) -> None:
        """Write down that it could not be done, and why."""
        self._end(operation_id, OperationStatus.FAILED, error)

    def _end(self, operation_id: str, status: OperationStatus, error: AgentError | None) -> None:
        """End it once: what superseded an operation has ended it already, and that outcome stays."""
        self._store.change(
            "UPDATE operations SET status = ?, ended_at = ?, error_code = ?, error_message = ?"
            " WHERE operation_id = ? AND ended_at IS NULL",
            (status, utc_now(), error.code if error else None, error.message if error else None, operation_id),
        )


_OPEN_SQL = "('" + "', '".join(_OPEN) + "')"


def _operation(row: sqlite3.Row) -> Operation:
    values = dict(row)
    values["kind"] = OperationKind(values["kind"])
    values["status"] = OperationStatus(values["status"])
    return Operation(**values)
