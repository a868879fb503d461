"""What failed for one server: who waits is told, who asks is shown it, and a provision is undone."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from core.errors import AgentError, ComposeFailed, DockerUnavailable, StoreFailed
from core.models import OperationKind
from core.operations import Operation
from core.servers import Server
from provisioning.hands import Hands
from provisioning.observe import Look
from provisioning.operations import Operations
from provisioning.plan import is_wanted

# What Docker gives as the start of a container that was never started.
_NEVER = "0001-"


class Failures:
    """Knows what failed for one server.

    Args:
        server_id: whose failures.
        hands: where they are written.
        operations: who waits.
    """

    def __init__(self, server_id: str, hands: Hands, operations: Operations) -> None:
        self._server_id = server_id
        self._hands = hands
        self._operations = operations
        self._cause: AgentError | None = None

    def forget(self) -> None:
        """Let what failed before count no more."""
        self._cause = None

    def cause_of(self, server: Server) -> AgentError:
        """Return what made a provision be undone; over our own death only code and sentence are left of it."""
        if self._cause and self._cause.code == server.failure_code:
            return self._cause
        return ComposeFailed(server.failure_code or "provision_failed", server.failure_message or "It was undone.")

    def show(self, server: Server, look: Look | None, error: AgentError) -> None:
        """Nobody waits, so whoever asks shall see why the game does not run; of one that runs nothing is shown.

        Nor of one that may run: without Docker nobody knows, and `/readyz` says that.
        """
        if isinstance(error, DockerUnavailable):
            return
        if server.deleting or not is_wanted(server) or (look and look.seen.is_alive):
            return
        with suppress(StoreFailed):  # a full disk takes no word of itself, and is in the log
            self._write(error)

    def refused(self, operation: Operation, error: AgentError) -> None:
        """The game could not be saved and goes on, as if nobody had asked for its end."""
        with self._told_anyway(operation, error):
            self._operations.end(operation, error, lambda: self._go_on(operation))

    def _go_on(self, operation: Operation) -> None:
        """Unless something superseded it: then that one's wish stands."""
        if self.is_under_way(operation):
            self._hands.servers.update(self._server_id, container_wanted=True, restart_from=None)

    def is_under_way(self, operation: Operation) -> bool:
        """Whether nothing has ended or superseded it."""
        current = self._operations.current(self._server_id)
        return current is not None and current.operation_id == operation.operation_id

    def of_operation(self, server: Server, look: Look | None, operation: Operation, error: AgentError) -> bool:
        """Tell who waits, and undo a provision; return whether to pause before going on.

        Raises:
            StoreFailed: nothing could be written; who waits was told all the same.
        """
        with self._told_anyway(operation, error):
            return self._operation_failed(server, look, operation, error)

    @contextmanager
    def _told_anyway(self, operation: Operation, error: AgentError) -> Iterator[None]:
        """A full disk takes no word of itself; who waits is told all the same."""
        try:
            yield
        except StoreFailed:
            self._operations.tell(operation, error)
            raise

    def _operation_failed(self, server: Server, look: Look | None, operation: Operation, error: AgentError) -> bool:
        if server.deleting:
            # Never given up, as id and ports are promised to others; but nobody has to wait for it.
            undone = operation.kind is OperationKind.PROVISION
            self._operations.tell(operation, self.cause_of(server) if undone else error)
            return True
        if not self.is_under_way(operation):
            return False  # something superseded it: what it failed at counts no more
        self._cause = error
        self._write(error)
        undo = operation.kind is OperationKind.PROVISION and not _ever_ran(look)
        if undo:
            self._hands.servers.update(self._server_id, deleting=True)
        if undo and not isinstance(error, DockerUnavailable):
            return False  # the operation ends with this error when nothing is left
        self._operations.end(operation, error)
        return True

    def _write(self, error: AgentError) -> None:
        self._hands.servers.update(self._server_id, failure_code=error.code, failure_message=error.message)


def _ever_ran(look: Look | None) -> bool:
    container = look.container if look else None
    return container is not None and not container.started_at.startswith(_NEVER)
