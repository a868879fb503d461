"""What Docker tells of itself is a reason to look again."""

import threading

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

    def step(self) -> float:
        """Listen for a while; return at once for the next time.

        Raises:
            DockerUnavailable: the engine is away; the loop tries again.
        """
        for event in self._stops.follow():
            if event.kind != "container":
                self.network_changed.set()
                self._reconciler.wake_all()
            elif event.action in _ACTIONS:
                self._reconciler.wake_known(event.name)
        return 0.0
