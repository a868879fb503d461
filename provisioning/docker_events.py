"""What Docker tells of itself is a reason to look again."""

import threading

from core.errors import DockerUnavailable
from provisioning.reconciler import Reconciler
from provisioning.stops import Stops

_ACTIONS = frozenset({"start", "die", "destroy", "pause", "unpause", "oom"})


class DockerEvents:
    """Follows the engine's events; a loop drives it.

    Args:
        stops: reads the events, and learns from them whose stop it was.
        reconciler: told which server to look at.

    Attributes:
        network_changed: set when there is reason to look at the network itself.
    """

    def __init__(self, stops: Stops, reconciler: Reconciler) -> None:
        self._stops = stops
        self._reconciler = reconciler
        self.network_changed = threading.Event()
        self._away = False

    def step(self) -> float:
        """Listen for a while; return at once for the next time.

        Raises:
            DockerUnavailable: the engine is away; the loop tries again.
        """
        if self._away:
            self._greet()
        try:
            self._listen()
        except DockerUnavailable:
            self._away = True
            raise
        return 0.0

    def _greet(self) -> None:
        """An engine that is back tells nothing of what became of the games meanwhile, and all failed without it."""
        self._stops.catch_up()
        self._away = False
        self._reconciler.wake_all(urgent=True)

    def _listen(self) -> None:
        for event in self._stops.follow():
            if event.kind != "container":
                self.network_changed.set()
                self._reconciler.wake_all()
            elif event.action in _ACTIONS:
                self._reconciler.wake_known(event.name)
