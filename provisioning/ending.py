"""The end of a game: saved, then ended with nothing in between, since what is played after the save is lost."""

import threading
from dataclasses import replace

from compose.file import STOP_GRACE_SECONDS
from core.operations import Operation
from core.servers import Server
from core.settings import Settings
from provisioning.actions import Actions
from provisioning.asker import Asker
from provisioning.hands import Hands
from provisioning.observe import Look
from provisioning.operations import Operations
from provisioning.plan import Action, plan

_DRAIN_MARGIN = 30.0  # seconds, for all that is neither a save nor a stop


def drain_patience(settings: Settings) -> float:
    """Return how long the end of all games may take, in seconds: they are saved side by side, then stopped so."""
    return settings.save_timeout + STOP_GRACE_SECONDS + _DRAIN_MARGIN


class Ending:
    """Ends games.

    Args:
        hands: what it acts with.
        actions: how tunnel and container are ended.
        operations: where the outcome of the save is written.
        draining: set when all games shall stop, whatever is wanted of them.
    """

    def __init__(self, hands: Hands, actions: Actions, operations: Operations, draining: threading.Event) -> None:
        self._hands = hands
        self._actions = actions
        self._operations = operations
        self._draining = draining

    def wished(self, server: Server) -> Server:
        """Return a server as it is wanted at present."""
        return replace(server, container_wanted=False) if self._draining.is_set() else server

    def save_and_end(self, server: Server, look: Look, operation: Operation | None) -> None:
        """Save the game and end it at once, if that is still wanted.

        Raises:
            Conflict: it could not be saved, so it goes on.
            AgentError: it could not be ended.
        """
        if look.container is None:
            return
        # The wish can be younger than the look at the operations, of which one came with it.
        operation = operation or self._operations.current(server.server_id)
        ports = look.container.ports or self._hands.ports(server)
        self._hands.saving.before_end(server, look.container, ports, operation, self._operations)
        look = replace(look, seen=replace(look.seen, save_due=False))
        for action in (Action.STOP_TUNNEL, Action.STOP_CONTAINER):
            if self._is_planned(action, server.server_id, look):
                self._actions.do(action, server, look, Asker())
                look = replace(look, seen=replace(look.seen, tunnel_runs=False))

    def _is_planned(self, action: Action, server_id: str, look: Look) -> bool:
        """Asked anew: somebody may have changed his mind while the save went on."""
        server = self._hands.servers.get(server_id)
        return server is not None and action in plan(self.wished(server), self._hands.ports(server), look.seen)
