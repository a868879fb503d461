"""All keepers: one for each server, made when the server is and ended when it is gone."""

import threading
from collections.abc import Callable

from provisioning.actions import Actions
from provisioning.hands import Hands
from provisioning.keeper import Keeper
from provisioning.observe import Look
from provisioning.operations import Operations

_STOP_SECONDS = 5.0


def _always() -> bool:
    return True


class Reconciler:
    """Owns the keepers.

    Args:
        hands: what they look and act with.
        operations: what was asked for.
        actions: how each action is done.

    Attributes:
        draining: set when all games shall stop, whatever is wanted of them.
    """

    def __init__(self, hands: Hands, operations: Operations, actions: Actions) -> None:
        self._hands = hands
        self._operations = operations
        self._actions = actions
        self._keepers: dict[str, Keeper] = {}
        self._lock = threading.Lock()
        self._running = False
        self.draining = threading.Event()
        self._stays: Callable[[], bool] = _always

    def heed(self, stays: Callable[[], bool]) -> None:
        """Begin nothing new once `stays` says that this process is about to end."""
        self._stays = stays

    def is_leaving(self) -> bool:
        """Whether nothing new is to be begun: all games shall stop, or this process is about to end."""
        return self.draining.is_set() or not self._stays()

    def start(self) -> None:
        """Give every server its keeper."""
        self._running = True
        for server in self._hands.servers.all():
            self.wake(server.server_id)

    def stop(self) -> None:
        """End every keeper after what it is doing now, within 5 s; nobody waits for what is not done by then."""
        self._running = False
        self._operations.park()
        with self._lock:
            keepers = list(self._keepers.values())
        for keeper in keepers:
            keeper.loop.stop(0)
        for keeper in keepers:
            keeper.loop.stop(_STOP_SECONDS / max(len(keepers), 1))

    def wake(self, server_id: str, *, urgent: bool = False) -> None:
        """Let the server be looked at now; begin to keep it where that was not done yet.

        Args:
            server_id: whose turn it is.
            urgent: forget the backoff of what failed before.
        """
        if not self._running:
            return
        with self._lock:
            keeper = self._keepers.get(server_id.lower())
            if keeper is None:
                keeper = Keeper(server_id, self._hands, self._actions, self._operations, self.draining)
                self._keepers[server_id.lower()] = keeper
                keeper.loop.start()
                return
        keeper.wake(urgent=urgent)

    def wake_all(self, *, urgent: bool = False) -> None:
        """Let every server be looked at now; `urgent` forgets the backoff of what failed before."""
        for server_id in self.kept():
            self.wake(server_id, urgent=urgent)

    def kept(self) -> list[str]:
        """Return the ids that have a keeper."""
        with self._lock:
            return [keeper.server_id for keeper in self._keepers.values()]

    def last_look(self, server_id: str) -> Look | None:
        """Return what was last seen of a server; None where it was not looked at yet."""
        with self._lock:
            keeper = self._keepers.get(server_id.lower())
        return keeper.last_look if keeper else None

    def drop_gone(self) -> float:
        """End the keepers of servers that are gone; return the seconds until the next time."""
        for server_id in self.kept():
            if self._hands.servers.get(server_id) is None:
                self._drop(server_id)
        return _STOP_SECONDS

    def _drop(self, server_id: str) -> None:
        with self._lock:
            if self._hands.servers.get(server_id) is not None:
                return  # it was asked for again in between
            keeper = self._keepers.pop(server_id.lower(), None)
        if keeper:
            keeper.loop.stop(0)

    def wake_known(self, name: str) -> None:
        """Let the server of this name be looked at now, if it is one of ours."""
        if self._hands.servers.get(name):
            self.wake(name)
