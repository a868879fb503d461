"""Operations under way: who may begin one, who joins it, who waits for its end."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.clock import utc_now
from core.errors import AgentError, Conflict, DeadlinePassed, ShuttingDown
from core.failpoints import Failpoint
from core.log import get_logger
from core.models import OperationKind, SaveOutcome
from core.operations import Operation, OperationTable
from core.store import Store

# These follow whatever runs: a delete is never refused, and a kill is for what hangs.
_SUPERSEDING = frozenset({OperationKind.DELETE, OperationKind.KILL})
# These have no arguments beyond the server, so a second call is identical; of others it is when it changes nothing.
_JOINABLE = frozenset(OperationKind) - {OperationKind.RECONFIGURE}

SAVE_FAILED = "save_failed"
"""The code of a stop or restart that was refused, because the game could not be saved."""

_POLL_SECONDS = 0.2
# More than can wait at once.
_REMEMBERED = 256

log = get_logger("operations")


@dataclass(frozen=True)
class Told:
    """What who waits for an operation is told; the error is the one that was raised, None where all is well."""

    error: AgentError | None


class Operations:
    """The operations of all servers.

    The rows say what is under way, over a crash too; who waits, and the user's token that came with a
    request, live in memory only.
    """

    def __init__(self, store: Store, table: OperationTable) -> None:
        self._store = store
        self._table = table
        self._changed = threading.Condition()
        self._told: dict[str, Told] = {}
        self._tokens: dict[str, str] = {}
        self._parked = False

    def begin(
        self,
        server_id: str,
        kind: OperationKind,
        change: Callable[[], object],
        user_token: str | None = None,
        *,
        force: bool = False,
    ) -> Operation:
        """Write down the wish and the operation in one transaction, or join the identical one under way.

        Args:
            server_id: whose it is.
            kind: what is to be done.
            change: writes what is wanted from now on, and of a reconfigure tells whether that was another; what it
                wrote is taken back where something else is under way.
            user_token: of the user who asks, for calls to the manager on his behalf; kept until the end, in memory.
            force: end the game even where it cannot be saved; who joins can insist on it.

        Raises:
            Conflict: something else is under way.
            StoreFailed: the disk is full. What makes room, or ends what hangs, is tried even so.
        """
        with self._store.transaction(Failpoint.OPERATION_BEGUN):
            running = self._table.open_for(server_id)
            if running and running.kind == kind and (kind in _JOINABLE or not change()):
                return self._joined(running, user_token, force=force)
            if kind not in _SUPERSEDING:
                self._store.check_room()
            superseded = self._supersede(running, kind) if running else None
            change()
            begun = self._table.begin(server_id, kind, force=force)
            self._lend(begun, user_token)  # before anybody can see the operation, and ask without it
        if running and superseded:
            self._tokens.pop(running.operation_id, None)
            _say("An operation failed.", running, superseded)
            self.tell(running, superseded)
        _say("An operation begins.", begun)
        return begun

    def join(self, server_id: str, kind: OperationKind, user_token: str | None) -> Operation | None:
        """Return what is under way for a server, to be waited for, if it is of this kind."""
        # In a transaction, so that its end is told after this has forgotten what was told before.
        with self._store.transaction(Failpoint.OPERATION_BEGUN):
            running = self._table.open_for(server_id)
            return self._joined(running, user_token, force=False) if running and running.kind is kind else None

    def _joined(self, running: Operation, user_token: str | None, *, force: bool) -> Operation:
        self._forget_told(running)
        self._lend(running, user_token)
        if force:
            self._table.insist(running.operation_id)
        return running

    def _lend(self, operation: Operation, user_token: str | None) -> None:
        if user_token is not None:
            self._tokens[operation.operation_id] = user_token

    def token(self, operation: Operation) -> str | None:
        """Return the token of the user who asked for an operation that is under way, if he sent one."""
        return self._tokens.get(operation.operation_id)

    def _supersede(self, running: Operation, kind: OperationKind) -> AgentError:
        if kind not in _SUPERSEDING or running.kind == OperationKind.DELETE:
            raise Conflict(
                "operation_in_progress",
                f"{running.kind} of {running.server_id} is under way since {running.started_at} (now {utc_now()}); "
                "wait for its end and try again.",
                kind=running.kind,
                operation=running.operation_id,
                startedAt=running.started_at,
            )
        error = Conflict("superseded", f"{running.kind} of {running.server_id} was ended by a {kind}.")
        self._table.fail(running.operation_id, error)
        return error

    def current(self, server_id: str) -> Operation | None:
        """Return what is under way for a server."""
        return self._table.open_for(server_id)

    def get(self, operation: Operation) -> Operation:
        """Return an operation as it is by now."""
        return self._table.get(operation.operation_id)

    def last(self, server_id: str) -> Operation | None:
        """Return the newest operation of a server, ended or not."""
        return self._table.last_for(server_id)

    def at_step(self, operation: Operation, step: str) -> None:
        """Write down which step is about to be taken."""
        self._table.at_step(operation.operation_id, step)

    def saved(self, operation: Operation, outcome: SaveOutcome) -> None:
        """Write down what came of saving the game."""
        self._table.saved(operation.operation_id, outcome)

    def end(
        self,
        operation: Operation,
        error: AgentError | None = None,
        along_with: Callable[[], object] = lambda: None,
        name: Failpoint = Failpoint.OPERATION_ENDED,
    ) -> None:
        """End an operation, and tell who waits once that is on disk.

        Args:
            operation: which.
            error: why it could not be done; None where it was.
            along_with: what is written in the same transaction.
            name: the failpoint behind that.
        """
        with self._store.transaction(name):
            along_with()
            if error:
                self._table.fail(operation.operation_id, error)
            else:
                self._table.succeed(operation.operation_id)
        self._tokens.pop(operation.operation_id, None)
        _say("An operation failed." if error else "An operation is done.", operation, error)
        self.tell(operation, error)

    def tell(self, operation: Operation, error: AgentError | None) -> None:
        """Tell who waits how an operation ended; or that one which is never given up fails for now."""
        with self._changed:
            # Remembered for a caller that comes to wait only now; what superseded an operation has the first word.
            self._told.setdefault(operation.operation_id, Told(error))
            if len(self._told) > _REMEMBERED:
                del self._told[next(iter(self._told))]
            self._changed.notify_all()

    def _forget_told(self, operation: Operation) -> None:
        """Whoever joins waits for what is still to come."""
        with self._changed:
            self._told.pop(operation.operation_id, None)

    def wait(self, operation: Operation, timeout: float) -> None:
        """Wait for the end of an operation that `begin` gave, up to `timeout` seconds.

        Raises:
            AgentError: it failed; the error is the one that was told.
            ShuttingDown: the agent ends before it does; the next one goes on with it.
            DeadlinePassed: it goes on behind the caller's back.
        """
        key = operation.operation_id
        with self._changed:
            self._changed.wait_for(lambda: key in self._told or self._parked, timeout)
            told = self._told.get(key)
        if told is None:
            raise self._unfinished(operation, timeout)
        if told.error:
            raise told.error

    def _unfinished(self, operation: Operation, timeout: float) -> AgentError:
        what, key = f"{operation.kind} of {operation.server_id}", operation.operation_id
        if self._parked:
            return ShuttingDown(
                "shutting_down", f"The agent is being taken down; {what} goes on once it is back.", operation=key
            )
        return DeadlinePassed(
            "deadline_passed",
            f"{what} takes longer than {timeout:g} s and goes on; ask for its status.",
            operation=key,
        )

    def park(self) -> None:
        """Let everybody who waits know that this process ends; what is under way is the next one's."""
        with self._changed:
            self._parked = True
            self._changed.notify_all()

    def until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Wait up to `timeout` seconds for a condition, looked at when an operation ends and each 0.2 s."""
        deadline = time.monotonic() + timeout
        while not (held := condition()) and not self._parked and time.monotonic() < deadline:
            with self._changed:
                self._changed.wait(_POLL_SECONDS)
        return held


def _say(event: str, operation: Operation, error: AgentError | None = None) -> None:
    log.info(
        event,
        kind=str(operation.kind),
        server=operation.server_id,
        operation=operation.operation_id,
        why=error.message if error else None,
    )
