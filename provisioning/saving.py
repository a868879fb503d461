"""A game is saved before it is ended: the default image kills it at once, whatever it has not saved."""

from collections.abc import Callable

from compose.container import Container
from core.errors import Conflict
from core.failpoints import Failpoint, reached
from core.log import get_logger
from core.models import OperationKind, Ports
from core.operations import Operation
from core.servers import Server
from provisioning.admins import Admins
from provisioning.attempt import Attempt, Result
from provisioning.games import Games
from provisioning.layout import Layout
from provisioning.operations import SAVE_FAILED, Operations
from satisfactory.saves import save_name

log = get_logger("saving")

# A game that was saved and is not ended within this time has played on, and is saved again.
_FRESH = 30.0
_REASONS = {OperationKind.STOP: "stop", OperationKind.RESTART: "restart"}
_OWN_REASON = "upkeep"


class Saving:
    """Sees to it that games are saved before their end.

    Args:
        admins: who may save a game.
        games: whether a game was ever played.
        layout: where the saves are.
        timeout: how long a save may take, in seconds.
        wall: seconds since 1970, for the names of the saves.
    """

    def __init__(
        self, admins: Admins, games: Games, layout: Layout, timeout: float, *, wall: Callable[[], float]
    ) -> None:
        self._admins = admins
        self._games = games
        self._layout = layout
        self._timeout = timeout
        self._clock = games.clock
        self._wall = wall
        self._settled: dict[str, tuple[str, float]] = {}

    def due(self, server_id: str, container: Container | None) -> bool:
        """Whether the game must be saved, as far as that can be done, before its container is ended."""
        if container is None or container.status != "running":
            return False
        run, at = self._settled.get(server_id, ("", 0.0))
        return run != container.started_at or self._clock() - at > _FRESH

    def before_end(
        self,
        server: Server,
        container: Container,
        ports: Ports,
        operation: Operation | None,
        operations: Operations,
    ) -> None:
        """Save the game and write down what came of it; from then on it may be ended.

        Args:
            server: whose game it is.
            container: what it runs in.
            ports: those of the game in it.
            operation: for what it is to be ended; None for the agent's own reasons.
            operations: where the outcome is written.

        Raises:
            Conflict: the game answers and could not be saved, and nobody insists on its end.
        """
        result = self._attempt(server, container, ports, operation).run()
        reached(Failpoint.SAVE_DONE)
        log.info("A game is to be ended.", server=server.server_id, save=result.outcome and result.outcome.saved)
        if operation and result.outcome:
            operations.saved(operation, result.outcome)
        # Asked now: somebody may have insisted while the save went on.
        forced = operation is not None and operations.get(operation).force
        if result.refused and not forced:
            raise _refusal(server, result)
        self._settled[server.server_id] = (container.started_at, self._clock())

    def _attempt(self, server: Server, container: Container, ports: Ports, operation: Operation | None) -> Attempt:
        reason = _REASONS.get(operation.kind, _OWN_REASON) if operation else _OWN_REASON
        return Attempt(
            admin=self._admins.of(server, container, ports),
            address=container.ip,
            port=ports.game,
            data=self._layout.data(server.server_id),
            name=save_name(reason, self._wall()),
            was_played=self._games.was_played(server.server_id, container.started_at),
            deadline=self._clock() + self._timeout,
            clock=self._clock,
        )

    def forget(self, server_id: str) -> None:
        """Drop what is known of a server that is gone."""
        self._settled.pop(server_id, None)


def _refusal(server: Server, result: Result) -> Conflict:
    outcome = result.outcome
    reason = outcome.message if outcome else ""
    return Conflict(
        SAVE_FAILED,
        f"{server.server_id} could not be saved and goes on running: {reason} Send force: true to end it all the same.",
        reason=reason,
        # As in the answer of a stop that was done; what could be saved, or had no right to be, is never refused.
        saved=False,
        file=outcome.file if outcome else None,
        seconds=outcome.seconds if outcome else None,
    )
