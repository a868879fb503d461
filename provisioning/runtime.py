"""Everything that runs in the background: started once the worker owns the data directory, ended before it exits."""

import socket
from collections.abc import Callable

from compose.container import Network
from compose.network import NETWORK, ensure_member, ensure_network
from core.errors import StoreFailed
from core.files import make_private_directory, remove_tree
from core.log import get_logger
from core.store import Store
from provisioning.dangling import Dangling
from provisioning.docker_events import DockerEvents
from provisioning.hands import Hands
from provisioning.loops import Loop, LoopHealth
from provisioning.reconciler import Reconciler
from provisioning.trust import TrustedNetworks

log = get_logger("runtime")

_NETWORK_INTERVAL = 15.0
# How soon it is seen that Docker is back.
_DOCKER_INTERVAL = 5.0
_TUNNEL_INTERVAL = 0.5


class Runtime:
    """Owns the loops.

    Args:
        store: checked for readiness.
        hands: what the loops act with.
        reconciler: keeps the servers.
        events: follows Docker.
        trust: looks at Docker's networks again and again.
        dangling: looks for what belongs to no server.
        heartbeat: tells the orchestrator of us; None where there is none.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the wiring's own list, each a part of its own
        self,
        store: Store,
        hands: Hands,
        reconciler: Reconciler,
        events: DockerEvents,
        trust: TrustedNetworks,
        dangling: Dangling,
        heartbeat: Loop | None,
    ) -> None:
        self._store = store
        self._hands = hands
        self._reconciler = reconciler
        self._trust = trust
        self._owner = False
        self._taken_up = False
        watched = [
            Loop("tunnels", self._tend_tunnels),
            Loop("docker_events", events.step, longest_pause=_DOCKER_INTERVAL),
            Loop("network", self._tend_network, events.network_changed, longest_pause=_NETWORK_INTERVAL),
            Loop("orphans", hands.instances.step, hands.instances.released),
            Loop("keepers", self._tend_keepers),
            Loop("watchdog", hands.watchdog.step),
            Loop("dangling", dangling.step),
        ]
        self._loops = watched + ([heartbeat] if heartbeat else [])

    def start(self, stays: Callable[[], bool] = lambda: True) -> None:
        """Begin; the caller owns the data directory.

        Args:
            stays: whether this process is not about to end; while it is, nothing new is begun.
        """
        self._owner = True
        self._reconciler.heed(stays)
        if self._hands.own_container is None:
            log.warning("The agent runs outside a container, where server names do not resolve: it starts no tunnel.")
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """End the loops. Games and tunnels go on: the next worker takes them up."""
        # Only an operation under way is worth a wait; a loop's pass may end anywhere, and one listens for 15 s.
        for loop in self._loops:
            loop.stop(0)
        self._reconciler.stop()

    def alive(self) -> dict[str, LoopHealth]:
        """Return how each loop is, by name."""
        return {loop.name: loop.health() for loop in self._loops}

    def ready(self) -> None:
        """Return where the agent can do its work now.

        Raises:
            StoreFailed: the data directory is not ours, or the store is damaged.
            DockerUnavailable: the engine does not answer.
        """
        if not self._owner:
            raise StoreFailed("not_owner", "Another agent owns the data directory; this one waits for its end.")
        self._store.check()
        self._hands.engine.ping()

    def _tend_keepers(self) -> float:
        """Take up what runs, once the store can be read; from then on see to it that no keeper outlives its server."""
        if not self._taken_up:
            if self._hands.own_container:
                self._hands.supervisor.adopt()
            self._reconciler.start()
            self._empty_trash()
            self._taken_up = True
        elif self._hands.own_container:
            self._hands.supervisor.end_strays()
        return self._reconciler.drop_gone()

    def _tend_tunnels(self) -> float:
        self._hands.supervisor.wait(_TUNNEL_INTERVAL)
        self._hands.supervisor.tick()
        return 0.0

    def _tend_network(self) -> float:
        """Keep the network there and the agent on it: without it no tunnel finds its game."""
        network = ensure_network(self._hands.engine, NETWORK)
        own = self._hands.own_container
        if own:
            if own not in network.members:
                self._join_network(network, own)
            self._join_orchestrator(own)
        self._trust.check()
        return _NETWORK_INTERVAL

    def _join_network(self, network: Network, own: str) -> None:
        """Whoever sent a packet meanwhile is stuck, so every tunnel is begun anew when its game answers again."""
        for server in self._hands.servers.all():  # before the join: who died right behind it would have told nobody
            self._hands.servers.update(server.server_id, bounced_for=None)
        ensure_member(self._hands.engine, network, own, socket.gethostname())
        log.warning("The agent's container was not on satis_network; it is put on it, and all tunnels are begun anew.")
        self._reconciler.wake_all()

    def _join_orchestrator(self, own: str) -> None:
        name = self._hands.settings.orchestrator_network
        for network in self._hands.engine.networks(name) if name else []:
            ensure_member(self._hands.engine, network, own, socket.gethostname())

    def _empty_trash(self) -> None:
        """Remove what a predecessor had taken out of its place when it died."""
        make_private_directory(self._hands.layout.trash)
        for folder in self._hands.layout.trash.iterdir():
            try:
                remove_tree(folder)
            except StoreFailed as error:
                log.warning(error.message)
