"""What Docker tells of itself: a reason to look again, and the only sign that somebody stopped a game by hand."""

from collections.abc import Callable

from compose.container import Event
from compose.engine import Engine
from core.errors import DockerUnavailable
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
        self._clock = clock
        self._since_ns = int(clock() * _NS)
        self._killed: set[str] = set()
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
        self._engine.ping()
        self._away = False
        self._reconciler.wake_all(urgent=True)

    def _listen(self) -> None:
        # Where the clock was set back, the last event lies ahead of all that will come.
        self._since_ns = min(self._since_ns, int(self._clock() * _NS))
        for event in self._engine.events(self._since_ns):
            self._since_ns = event.time_ns + 1
            if event.kind == "container":
                self._container(event)
            else:
                self._reconciler.wake_all()

    def _container(self, event: Event) -> None:
        """Docker says `kill` then `die` where somebody stops a container, and only `die` where the game ended.

        It says the same where the engine itself is stopped, or somebody removes the container; neither is
        anybody's wish for the game to be stopped. An engine that goes away closes its API before it stops
        containers (tried with 20.10), so that one which still answers, with a container that has ended and is
        not about to be removed or run again, tells of a stop by hand.
        """
        if event.action == "kill" and not self._actions.stopped_by_us(event.name, event.time_ns):
            self._killed.add(event.name)
        elif event.action == "die" and event.name in self._killed:
            self._killed.discard(event.name)
            self._stopped(event.name)
        elif event.action == "start":
            self._killed.discard(event.name)  # a signal that did not end it
        if event.action in {"start", "die", "destroy", "pause", "unpause", "oom"}:
            self._reconciler.wake_known(event.name)

    def _stopped(self, name: str) -> None:
        """Ask the engine what came of it; one that does not answer raises, and it was no stop by hand."""
        container = self._engine.container(name)
        if container and container.status == "exited":
            self._reconciler.stopped_by_hand(name)
