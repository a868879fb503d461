"""What Docker tells of itself: a reason to look again, and the only sign that somebody stopped a game by hand."""

from collections.abc import Callable

from compose.container import Event
from compose.engine import Engine
from provisioning.actions import Actions
from provisioning.reconciler import Reconciler

_NS = 10**9


class DockerEvents:
    """Follows the engine's events; a loop drives it.

    Args:
        engine: whose events.
        reconciler: told which server to look at.
        actions: tells which stops were our own.
        clock: the wall clock, in seconds since 1970.
    """

    def __init__(self, engine: Engine, reconciler: Reconciler, actions: Actions, *, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._reconciler = reconciler
        self._actions = actions
        self._since_ns = int(clock() * _NS)
        self._killed: set[str] = set()

    def step(self) -> float:
        """Listen for a while; return at once for the next time.

        Raises:
            DockerUnavailable: the engine is away; the loop tries again.
        """
        for event in self._engine.events(self._since_ns):
            self._since_ns = event.time_ns + 1
            if event.kind == "container":
                self._container(event)
            else:
                self._reconciler.wake_all()
        return 0.0

    def _container(self, event: Event) -> None:
        """Docker says `kill` then `die` where somebody stops a container, and only `die` where the game ended."""
        if event.action == "kill" and not self._actions.stopped_by_us(event.name, event.time_ns):
            self._killed.add(event.name)
        elif event.action == "die" and event.name in self._killed:
            self._killed.discard(event.name)
            self._reconciler.stopped_by_hand(event.name)
        elif event.action == "start":
            self._killed.discard(event.name)  # a signal that did not end it
        if event.action in {"start", "die", "destroy", "pause", "unpause", "oom"}:
            self._reconciler.wake_known(event.name)
