"""The tunnels' other end: asking the manager for instances, and giving them back."""

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from core.backoff import Backoff
from core.errors import AgentError, ManagerFailed
from core.failpoints import Failpoint, reached
from core.log import get_logger
from core.models import Ports
from core.orphans import OrphanTable
from core.servers import Server, ServerTable
from core.settings import Settings
from provisioning.asker import Asker
from provisioning.budget import Budget
from rathole.answer import Instance
from rathole.config import RemoteHost, own_client_config, parse_client_config, render_client_config
from rathole.manager import InstanceManager

log = get_logger("instances")

# The manager serves one caller at a time, over a second each; a game waits this long for its turn.
_PATIENCE = 60.0
# Where the manager or the VPS refuses us, only a change over there helps.
_REFUSED_DELAY = 60.0
# An instance that the VPS does not know is mended within 20 s, whenever the manager was asked last.
_ASKED_DELAY = _LONGEST_AWAY = 15.0
_AWAY = frozenset({"manager_unreachable", "manager_timeout"})
_ORPHAN_INTERVAL = 30.0
# An instance that is made anew can come with other ports, which its players then have to type.
_REMAKES = Budget(times=3, window=600.0)


@dataclass
class _Attempts:
    """What came of asking for one server."""

    backoff: Backoff = field(default_factory=lambda: Backoff(limit=_LONGEST_AWAY))
    next_at: float = 0.0
    fault: AgentError | None = None
    remakes: tuple[float, ...] = ()
    wishes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Instances:
    """Asks the manager for one server at a time and remembers what came of it.

    Args:
        manager: the manager's client; None where there is no manager.
        settings: tells the hosts.
        servers: where an answer is kept.
        orphans: instances that are to go.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        manager: InstanceManager | None,
        settings: Settings,
        servers: ServerTable,
        orphans: OrphanTable,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._manager = manager
        self._settings = settings
        self._servers = servers
        self._orphans = orphans
        self._clock = clock
        self._attempts: dict[str, _Attempts] = {}
        self._guard = threading.Lock()
        self._tokens: dict[str, str | None] = {}
        self._kept: dict[str, str] = {}
        self.released = threading.Event()

    def _of(self, server_id: str) -> _Attempts:
        with self._guard:
            return self._attempts.setdefault(server_id.lower(), _Attempts())

    def due(self, server_id: str) -> bool:
        """Whether there is a manager and it may be asked now."""
        return self._manager is not None and self._clock() >= self._of(server_id).next_at

    def next_at(self, server_id: str) -> float:
        """When the manager may be asked again, on the clock passed in."""
        return self._of(server_id).next_at

    def fault(self, server_id: str) -> AgentError | None:
        """Why the manager gave no instance when it was last asked; None where it did or was not."""
        return self._of(server_id).fault

    def retry_now(self, server_id: str) -> None:
        """Ask at the next opportunity, and let the game wait for the answer: somebody asked for something."""
        attempts = self._of(server_id)
        attempts.wishes += 1
        attempts.next_at, attempts.fault = 0.0, None

    def ask(self, server: Server, asker: Asker) -> None:
        """Ask for the server's instance and keep the answer; a failure is remembered, not raised.

        Args:
            server: whose.
            asker: on whose behalf.
        """
        attempts = self._of(server.server_id)
        with attempts.lock:
            wishes = attempts.wishes
            try:
                self._ask(server, asker)
            except AgentError as error:
                if wishes == attempts.wishes:  # else somebody has asked since, and it is his turn
                    self._failed(server.server_id, attempts, error)
            else:
                attempts.fault, attempts.next_at = None, self._clock() + _ASKED_DELAY
                attempts.backoff.reset()

    def may_remake(self, server_id: str) -> bool:
        """Whether the instance was not made anew too often lately: 3 times in 10 minutes."""
        return not _REMAKES.is_spent(self._of(server_id).remakes, self._clock())

    def remake(self, server: Server, asker: Asker) -> None:
        """Have the manager make the server's instance anew; a failure is remembered, not raised.

        A rathole server of the manager's that died stays listed as running, and its client is refused.
        """
        attempts = self._of(server.server_id)
        with attempts.lock:
            try:
                self._known_manager().delete(server.server_id, asker.user_token)
            except AgentError as error:
                self._failed(server.server_id, attempts, error)
                return
            attempts.remakes = (*_REMAKES.recent(attempts.remakes, self._clock()), self._clock())
        self.ask(server, asker)

    def _failed(self, server_id: str, attempts: _Attempts, error: AgentError) -> None:
        if attempts.fault is None or attempts.fault.code != error.code:
            log.warning(error.message, server=server_id, code=error.code)
        delay = attempts.backoff.next_delay() if error.code in _AWAY else _REFUSED_DELAY
        attempts.fault, attempts.next_at = error, self._clock() + delay

    def _ask(self, server: Server, asker: Asker) -> None:
        manager = self._known_manager()
        self._clear_orphan(manager, server.server_id, asker.user_token)
        instance = self._create(manager, server, asker)
        ports = self._ports(server, instance)
        text = manager.client_config(server.server_id, asker.user_token)
        reached(Failpoint.CONFIG_FETCHED)
        config = self._checked(server, ports, instance, text)
        with self._servers.transaction(Failpoint.INSTANCE_KEPT):
            self._servers.set_public(server.server_id, _public(instance), instance.public_host)
            self._servers.update(server.server_id, client_config=config)

    def _known_manager(self) -> InstanceManager:
        if self._manager is None:
            raise ManagerFailed("no_manager", "No instance manager is set; set RATHOLE_INSTANCE_MANAGER_HOST.")
        return self._manager

    def _clear_orphan(self, manager: InstanceManager, server_id: str, user_token: str | None) -> None:
        """An instance left over from an earlier server of this id has that one's ports."""
        left_over = self._orphans.find(server_id)
        if left_over:
            manager.delete(left_over, user_token)
            reached(Failpoint.INSTANCE_REMOVED)
            self._orphans.remove(left_over)

    def _create(self, manager: InstanceManager, server: Server, asker: Asker) -> Instance:
        """Make the instance, or anew where the manager lists a dead one (as it does after its own restart)."""
        instance = self._patiently(manager, server, asker)
        if instance.running is False:
            log.warning("The manager lists a dead instance; it is made anew.", server=server.server_id)
            manager.delete(server.server_id, asker.user_token)
            reached(Failpoint.INSTANCE_REMOVED)
            instance = self._patiently(manager, server, asker)
        return instance

    def _patiently(self, manager: InstanceManager, server: Server, asker: Asker) -> Instance:
        deadline = self._clock() + _PATIENCE
        while True:
            try:
                instance = manager.create(server.server_id, server.spec.ports, asker.user_token)
            except ManagerFailed as error:
                # It took the connection and is busy with others: that is its way, so the call is repeated.
                if error.code != "manager_timeout" or self._clock() >= deadline or not asker.waits():
                    raise
            else:
                reached(Failpoint.INSTANCE_MADE)
                return instance

    def _ports(self, server: Server, instance: Instance) -> Ports:
        follow = self._settings.port_policy == "follow"
        return (follow and _public(instance)) or server.spec.ports

    def _checked(self, server: Server, ports: Ports, instance: Instance, text: str | None) -> str:
        """Return the client.toml to run: the manager's, checked, or our own where it has none."""
        if text is not None:
            return self.check(server, ports, text, _public(instance))
        if instance.rathole_port is None:
            raise ManagerFailed("manager_failed", "The manager gave neither a client config nor a rathole port.")
        token = self._settings.rathole_token.get_secret_value()
        host = self._settings.rathole_remote_host or self._settings.rathole_instance_manager_host
        return render_client_config(own_client_config(server.server_id, ports, host, instance.rathole_port, token))

    def check(self, server: Server, ports: Ports, text: str, granted: Ports | None) -> str:
        """Return a client.toml from outside, checked and pointed at this server.

        Args:
            server: whose it shall be.
            ports: those that the game has.
            text: the file, which may speak of these, of the requested or of the granted ones.
            granted: the public ports that the manager named, if it did.

        Raises:
            InvalidRequest: it is not one that this server may have.
        """
        remote = RemoteHost(
            override=self._settings.rathole_remote_host,
            manager_host=self._settings.rathole_instance_manager_host,
            resolves=_resolves,
            replaced=lambda host: log.info(
                "The config's VPS cannot be reached under its name; the manager's host takes its place.",
                server=server.server_id,
                named=host,
            ),
        )
        config = parse_client_config(
            text,
            server_id=server.server_id,
            ports=ports,
            synonyms=[server.spec.ports, granted or ports],
            remote_host=remote,
        )
        return render_client_config(config)

    def release(self, server_id: str, user_token: str | None) -> None:
        """Give the instance back: written down now, taken off the manager by the orphans' loop."""
        if self._manager is not None:
            self._orphans.add(server_id)
            self._tokens[server_id] = user_token
            self.released.set()
        else:
            self._attempts.pop(server_id.lower(), None)

    def step(self) -> float:
        """Try to take every orphan off; return the seconds until the next time.

        The token of the user who asked serves the first try only: it is not kept.
        """
        if self._manager is not None:
            for server_id in self._orphans.all():
                if not self._take_off(self._manager, server_id, self._tokens.pop(server_id, None)):
                    break
        return _ORPHAN_INTERVAL

    def _take_off(self, manager: InstanceManager, server_id: str, user_token: str | None) -> bool:
        """Tell whether the manager answers: one that keeps silent for this instance does so for the next."""
        attempts = self._of(server_id)
        with attempts.lock:
            if self._orphans.find(server_id) is None:
                return True  # a new server of this id has taken care of it
            try:
                manager.delete(server_id, user_token)
            except ManagerFailed as error:
                self._say_kept(server_id, error)
                return error.code not in _AWAY
            self._kept.pop(server_id, None)
            reached(Failpoint.INSTANCE_REMOVED)
            self._orphans.remove(server_id)
            # Not before: whoever still asks for a server that is gone holds this lock, and we must wait for him.
            if self._servers.get(server_id) is None:
                self._attempts.pop(server_id.lower(), None)
        return True

    def _say_kept(self, server_id: str, error: ManagerFailed) -> None:
        """Once for each reason: it is tried again each 30 s, maybe for ever."""
        if self._kept.get(server_id) != error.code:
            log.warning("The manager keeps an instance that is to go.", server=server_id, why=error.message)
        self._kept[server_id] = error.code


def _public(instance: Instance) -> Ports | None:
    """Return the ports that players type, where the manager named both."""
    if instance.game_port is None or instance.beacon_port is None:
        return None
    return Ports(instance.game_port, instance.beacon_port)


def _resolves(host: str) -> bool:
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return False
    return True
