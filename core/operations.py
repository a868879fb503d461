"""The table of operations: what was asked for, how far it is, how it ended."""

import json
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from core.clock import utc_now
from core.errors import AgentError
from core.failpoints import Failpoint
from core.models import OperationKind, OperationStatus, Saved, SaveOutcome
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
        force: the game is ended even where it cannot be saved.
        step: what it is at, None before the first.
        save: what came of saving the game, None where nothing was to be saved, or not yet.
        started_at: when it was asked for, ISO 8601.
        ended_at: when it ended, None while it runs.
        error_code: why it failed.
        error_message: the same, as a sentence.
    """

    operation_id: str
    server_id: str
    kind: OperationKind
    status: OperationStatus
    force: bool
    step: str | None
    save: SaveOutcome | None
    started_at: str
    ended_at: str | None
    error_code: str | None
    error_message: str | None

    @property
    def is_open(self) -> bool:
        """Whether it is still under way."""
        return self.status in _OPEN


class OperationTable:
    """Reads and writes the operations.

    Args:
        store: where they are.
        wall_ns: nanoseconds since 1970; it may be set back.
    """

    def __init__(self, store: Store, wall_ns: Callable[[], int] = time.time_ns) -> None:
        self._store = store
        self._wall_ns = wall_ns

    def begin(self, server_id: str, kind: OperationKind, *, force: bool = False) -> Operation:
        """Write a new operation down, before anything of it is done."""
        with self._store.transaction(Failpoint.OPERATION_BEGUN):
            operation_id = self._next_id()
            self._store.change(
                Failpoint.OPERATION_BEGUN,
                "INSERT INTO operations (operation_id, server_id, kind, status, force, started_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (operation_id, server_id, kind, OperationStatus.PENDING, force, utc_now()),
            )
        return self.get(operation_id)

    def _next_id(self) -> str:
        """Return an id behind all that were given out, though the clock may have been set back since."""
        newest = self._store.row("SELECT MAX(operation_id) AS id FROM operations")
        behind = int(newest["id"].partition("-")[0]) + 1 if newest and newest["id"] else 0
        return f"{max(self._wall_ns(), behind):020d}-{secrets.token_hex(4)}"

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
            Failpoint.STEP_MARKED,
            "UPDATE operations SET status = ?, step = ? WHERE operation_id = ? AND ended_at IS NULL",
            (OperationStatus.RUNNING, step, operation_id),
        )

    def insist(self, operation_id: str) -> None:
        """Write down that the game is to be ended even where it cannot be saved."""
        self._store.change(
            Failpoint.OPERATION_BEGUN, "UPDATE operations SET force = 1 WHERE operation_id = ?", (operation_id,)
        )

    def saved(self, operation_id: str, outcome: SaveOutcome) -> None:
        """Write down what came of saving the game."""
        self._store.change(
            Failpoint.STEP_MARKED,
            "UPDATE operations SET save = ? WHERE operation_id = ?",
            (json.dumps(asdict(outcome)), operation_id),
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
            Failpoint.OPERATION_ENDED,
            "UPDATE operations SET status = ?, ended_at = ?, error_code = ?, error_message = ?"
            " WHERE operation_id = ? AND ended_at IS NULL",
            (status, utc_now(), error.code if error else None, error.message if error else None, operation_id),
        )


_OPEN_SQL = "('" + "', '".join(_OPEN) + "')"


def _operation(row: sqlite3.Row) -> Operation:
    values = dict(row)
    values["kind"] = OperationKind(values["kind"])
    values["status"] = OperationStatus(values["status"])
    values["force"] = bool(values["force"])
    values["save"] = _save_outcome(values["save"])
    return Operation(**values)


def _save_outcome(text: str | None) -> SaveOutcome | None:
    if text is None:
        return None
    values = json.loads(text)
    return SaveOutcome(**values | {"saved": Saved(values["saved"])})
