"""The instance manager: grants instances, and keeps a rathole server running for each."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from core.errors import AgentError, ManagerFailed, NotFound
from core.log import get_logger
from edge import configs, ports
from edge.instances import Instance, InstanceStore
from edge.keys import NoiseKeys
from edge.server import RatholeServer, end_strays
from edge.settings import EdgeSettings

_log = get_logger("edge")
_TICK = 0.5
_START_DEADLINE = 5.0
_START_POLL = 0.02


@dataclass(frozen=True)
class _Entry:
    instance: Instance
    server: RatholeServer


class InstanceManager:
    """All instances of this edge; safe to call from many threads.

    Args:
        settings: the edge's.
        keys: the edge's, for the noise transport.
        clock: seconds that never go back.
        free: tells whether the machine has a port to give.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        keys: NoiseKeys,
        *,
        clock: Callable[[], float] = time.monotonic,
        free: ports.IsFree = ports.is_free,
    ) -> None:
        self._settings, self._keys = settings, keys
        self._clock, self._free = clock, free
        self._directory = settings.edge_data_dir / "instances"
        self._store = InstanceStore(self._directory)
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()
        self._ending = threading.Event()

    @property
    def active_instances(self) -> int:
        """How many instances there are, whether their rathole runs just now or not."""
        return len(self._entries)

    def begin(self) -> None:
        """Bring back what was granted before, and look after it from now on.

        To be called by the one process that owns the data directory.

        Raises:
            StoreFailed: the data directory cannot be read or written.
        """
        end_strays(self._directory)
        for instance in self._store.load():
            self._warn_of_other_ports(instance)
            self._entries[instance.server_id] = _Entry(instance, self._server_of(instance))
        for entry in self._entries.values():
            self._guarded(entry, entry.server.start)
        threading.Thread(target=self._supervise, name="edge-supervisor", daemon=True).start()
        _log.info("The edge is up.", instances=self.active_instances)

    def end(self) -> None:
        """End every rathole server; the instances stay granted."""
        self._ending.set()
        with self._lock:
            for entry in self._entries.values():
                entry.server.stop()

    def create(self, server_id: str, game_port: int, query_port: int) -> Instance:
        """Grant an instance and start its rathole server.

        Args:
            server_id: a checked id.
            game_port: public, TCP and UDP.
            query_port: public, TCP.

        Raises:
            InvalidRequest: the ports are equal or not published.
            Conflict: a port is taken.
            ManagerFailed: the id is there, no control port is left, or rathole does not start.
            StoreFailed: the disk is full or not writable.
        """
        with self._lock:
            if server_id in self._entries:
                # The deployed manager's words: the agent knows them and goes on.
                raise ManagerFailed("instance_exists", f"Instance {server_id} already exists")
            instance = self._grant(server_id, game_port, query_port)
            self._store.save(instance)
            server = self._server_of(instance)
            try:
                self._start(server)
            except BaseException:
                server.stop()
                self._store.remove(server_id)
                raise
            self._entries[server_id] = _Entry(instance, server)
        _log.info("Granted an instance.", instance=server_id, game_port=game_port, query_port=query_port)
        return instance

    def find(self, server_id: str) -> tuple[Instance, bool]:
        """Return an instance, and whether its rathole server runs.

        Raises:
            NotFound: there is none of this id.
        """
        entry = self._entry(server_id)
        return entry.instance, entry.server.is_running

    def client_config(self, server_id: str, local_host: str) -> str:
        """Return the client.toml of an instance.

        Args:
            server_id: whose.
            local_host: the game server, as its rathole client reaches it.

        Raises:
            NotFound: there is none of this id.
        """
        return configs.client_config(
            self._entry(server_id).instance,
            self._keys,
            remote_host=self._settings.edge_remote_host,
            local_host=local_host,
        )

    def remove(self, server_id: str) -> None:
        """Take an instance back: its rathole server ends, its ports are free again.

        Raises:
            NotFound: there is none of this id.
            StoreFailed: it could not be removed from disk; it stays granted.
        """
        with self._lock:
            self._entry(server_id).server.stop()
            self._store.remove(server_id)
            del self._entries[server_id]
        _log.info("Took an instance back.", instance=server_id)

    def tend(self) -> None:
        """Look once after every rathole server; one that cannot be helped does not keep others waiting."""
        with self._lock:
            for entry in self._entries.values():
                self._guarded(entry, entry.server.tend)

    def _supervise(self) -> None:
        while not self._ending.wait(_TICK):
            self.tend()

    def _guarded(self, entry: _Entry, action: Callable[[], None]) -> None:
        """Run an action of one server; whatever it raises is said, and `tend` comes by again."""
        try:
            action()
        except (AgentError, OSError) as error:
            _log.error("Cannot run a rathole server.", instance=entry.instance.server_id, reason=str(error))
        except Exception:  # noqa: BLE001 - said with its traceback; the others must go on
            _log.exception("A bug while looking after a server.", instance=entry.instance.server_id)

    def _entry(self, server_id: str) -> _Entry:
        entry = self._entries.get(server_id)
        if entry is None:
            raise NotFound("instance_not_found", f"There is no instance {server_id}.")
        return entry

    def _grant(self, server_id: str, game_port: int, query_port: int) -> Instance:
        given = [entry.instance for entry in self._entries.values()]
        taken = {port: i.server_id for i in given for port in (i.game_port, i.query_port)}
        ports.check_public_ports(game_port, query_port, allowed=self._settings.edge_ports, taken=taken, free=self._free)
        control_port = ports.choose_control_port(
            self._settings.edge_control_ports, {i.control_port for i in given}, free=self._free
        )
        return Instance(server_id=server_id, game_port=game_port, query_port=query_port, control_port=control_port)

    def _server_of(self, instance: Instance) -> RatholeServer:
        return RatholeServer(
            self._settings.rathole_binary,
            self._store.folder(instance.server_id),
            configs.server_config(instance, self._keys),
            clock=self._clock,
        )

    def _start(self, server: RatholeServer) -> None:
        """Start a new server and wait until its control port is bound, so that a success is one."""
        try:
            server.start()
        except OSError as error:
            raise ManagerFailed(
                "rathole_not_started", f"Cannot start {self._settings.rathole_binary}: {error.strerror}."
            ) from error
        deadline = self._clock() + _START_DEADLINE
        while not server.is_listening:
            if not server.is_running or self._clock() > deadline or self._ending.wait(_START_POLL):
                raise ManagerFailed("rathole_not_started", f"The rathole server did not start: {server.last_words}.")

    def _warn_of_other_ports(self, instance: Instance) -> None:
        published = {instance.game_port, instance.query_port} <= set(self._settings.edge_ports)
        if not published or instance.control_port not in self._settings.edge_control_ports:
            _log.warning(
                "An instance has ports outside EDGE_PORTS or EDGE_CONTROL_PORTS; widen them or remove it.",
                instance=instance.server_id,
            )
