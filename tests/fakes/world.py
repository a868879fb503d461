"""A host in memory: Docker, compose, rathole and the VPS as the will sees them, with switches for what can go wrong."""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import yaml

from compose.container import Container, Event, Network
from compose.file import NETWORK, SERVER_LABEL
from core.clock import utc_now
from core.errors import AgentError, ComposeFailed, DockerUnavailable, ManagerFailed
from core.models import Ports, ServerSpec, TunnelReason, TunnelState
from core.operations import OperationTable
from core.orphans import OrphanTable
from core.servers import Server, ServerTable
from core.settings import load_settings
from core.store import Store
from provisioning.actions import Actions
from provisioning.claims import Claims
from provisioning.crashes import Crashes
from provisioning.credentials import Credentials
from provisioning.dangling import Dangling
from provisioning.docker_events import DockerEvents
from provisioning.games import GameSeen
from provisioning.hands import Hands
from provisioning.instances import Instances
from provisioning.layout import Layout
from provisioning.operations import Operations
from provisioning.reconciler import Reconciler
from provisioning.servers import Servers
from provisioning.stops import Stops
from provisioning.watchdog import Watchdog
from rathole.answer import Instance
from rathole.config import own_client_config, render_client_config
from rathole.status import TunnelStatus, stopped
from tests.fakes.inside import FakeAdmins, FakeSaving
from tests.waiting import wait_until

NEVER = "0001-01-01T00:00:00Z"
ALIVE = frozenset({"running", "restarting", "paused"})
_LONGEST = 20.0


def spec(name: str = "srv_a_00000001", game: int = 30000, **more: Any) -> ServerSpec:  # noqa: ANN401 - fields of the spec
    """Return a request for a server; its messaging port is 1,000 above the game's."""
    return ServerSpec(server_id=name, server_name="A", game_port=game, beacon_port=game + 1000, **more)


@dataclass
class FakeEngine:
    """Docker's engine: containers and networks in dictionaries, and what happened to them.

    Attributes:
        up: it answers.
        did: what was done to containers, `verb id` each.
        tunnels: the supervisor, since stopping a game under its tunnel is a fault.
        saves: what was saved, since stopping a game that was not is a fault, too.
        killed: whoever asked for this wants no save, also where the game runs only after it.
        harm: what should never happen.
    """

    up: bool = True
    containers: dict[str, Container] = field(default_factory=dict)
    present: list[Network] = field(default_factory=list)
    images: set[str] = field(default_factory=set)
    happened: list[Event] = field(default_factory=list)
    did: list[str] = field(default_factory=list)
    harm: list[str] = field(default_factory=list)
    pull_fault: AgentError | None = None
    remove_fault: AgentError | None = None
    runs: int = 0
    made: int = 0
    tunnels: "FakeSupervisor | None" = None
    saves: FakeSaving | None = None
    killed: set[str] = field(default_factory=set)

    def ping(self) -> None:
        """Answer, or be away."""
        if not self.up:
            raise DockerUnavailable("docker_unavailable", "The Docker engine is not reachable; start it.")

    def container(self, name: str) -> Container | None:
        """Return the container of this name."""
        self.ping()
        return self.containers.get(name)

    def namesakes(self, name: str) -> list[Container]:
        """Return those whose name is this but for its case."""
        self.ping()
        return [found for key, found in self.containers.items() if key.lower() == name.lower()]

    def networks(self, name: str) -> list[Network]:
        """Return the networks of this name."""
        return [network for network in self.all_networks() if network.name == name]

    def all_networks(self) -> list[Network]:
        """Return all networks."""
        self.ping()
        return list(self.present)

    def create_network(self, name: str, labels: dict[str, str]) -> None:
        """Make one with an id of its own."""
        self.ping()
        self.made += 1
        subnets, gateways = ("172.20.0.0/16",), ("172.20.0.1",)
        self.present.append(Network(f"net{self.made}", name, str(self.made), labels, {}, subnets, gateways))

    def remove_network(self, network_id: str) -> None:
        """Remove one of which nobody is a member."""
        self.ping()
        self.present = [network for network in self.present if network.id != network_id]

    def image_present(self, reference: str) -> bool:
        """Whether it was pulled."""
        self.ping()
        return reference in self.images

    def pull(self, reference: str) -> None:
        """Get it, or say why not."""
        self.ping()
        if self.pull_fault:
            raise self.pull_fault
        self.images.add(reference)

    def stop(self, name: str, _grace: float) -> None:
        """Stop a container; one that is not there is fine."""
        self.ping()
        if self.alive(name):
            self._harmed_if_tunnelled(name)
            self._harmed_if_unsaved(name)
            self.did.append(f"stop {name}")
            self.end(name, "kill", "die", "stop")
            self.killed.discard(name)

    def kill(self, name: str) -> None:
        """End a game at once; one that does not run is fine."""
        self.ping()
        self.killed.add(name)
        if self.alive(name):
            self.did.append(f"kill {name}")
            self.end(name, "kill", "die")

    def remove(self, name: str) -> None:
        """Take a container away."""
        self.ping()
        if self.remove_fault:
            raise self.remove_fault
        if name in self.containers:
            self._harmed_if_tunnelled(name)
            self.did.append(f"remove {name}")
            self.end(name, "kill", "die", "destroy")
            del self.containers[name]

    def connect(self, network_id: str, container: str, _aliases: Sequence[str] = ()) -> None:
        """Put a running container on a network, where it gets another address."""
        self.ping()
        name, there = next((name, there) for name, there in self.containers.items() if there.id == container)
        self.runs += 1
        self.containers[name] = replace(there, network_ids={NETWORK: network_id}, ip=f"172.20.0.{self.runs + 2}")
        self.did.append(f"connect {name}")

    def logs(self, name: str, _tail: int) -> str:
        """Return what a game wrote last."""
        return f"the last line of {name}"

    def events(self, since_ns: int) -> Iterator[Event]:
        """Yield what happened since."""
        self.ping()
        yield from self.past_events(since_ns)

    def past_events(self, since_ns: int) -> list[Event]:
        """Return what happened since."""
        self.ping()
        return [event for event in self.happened if event.time_ns >= since_ns]

    # What the hands do and what somebody does by hand.

    def alive(self, name: str) -> bool:
        """Whether a game runs."""
        return name in self.containers and self.containers[name].status in ALIVE

    def run(self, name: str, ports: Ports | None, labels: Mapping[str, str] | None = None) -> None:
        """Make a container and start it."""
        self.runs += 1
        at = f"2026-01-01T{self.runs // 3600:02}:{self.runs // 60 % 60:02}:{self.runs % 60:02}Z"
        self.containers[name] = Container(
            id=f"c{self.runs}",
            name=name,
            status="running",
            created=at,
            started_at=at,
            finished_at=NEVER,
            exit_code=0,
            oom_killed=False,
            restart_count=0,
            image="image",
            labels={SERVER_LABEL: name} | dict(labels or {}),
            network_ids={NETWORK: self.present[-1].id} if self.present else {},
            ip="172.20.0.2",
            ports=ports,
            health=None,
            volumes=(),
        )
        self.tell(name, "start")

    def end(self, name: str, *actions: str) -> None:
        """Let a game end; Docker tells of it as `actions`."""
        self.containers[name] = replace(self.containers[name], status="exited", ip=None)
        for action in actions:
            self.tell(name, action)

    def tell(self, name: str, action: str) -> None:
        """Let something have happened now."""
        self.happened.append(Event("container", name, action, time.time_ns(), {}))

    def _harmed_if_tunnelled(self, name: str) -> None:
        if self.alive(name) and self.tunnels and name in self.tunnels.running:
            self.harm.append(f"{name} was stopped under its tunnel")

    def _harmed_if_unsaved(self, name: str) -> None:
        if self.saves and name not in self.killed and self.saves.due(name, self.containers[name]):
            self.harm.append(f"{name} was stopped unsaved")


@dataclass
class FakeCompose:
    """`docker compose` on that engine: reads the file that is really there.

    Attributes:
        fault: raised by the next calls of `up`, until it is None again.
        gates: an `up` of this server waits until its gate is open.
        began: servers whose `up` has begun, each as often as it did.
    """

    engine: FakeEngine
    fault: Exception | None = None
    gates: dict[str, threading.Event] = field(default_factory=dict)
    began: list[str] = field(default_factory=list)

    def up(self, server_id: str, file: Path, *, recreate: bool = False) -> None:
        """Make and start the container that the file describes."""
        self.began.append(server_id)
        if gate := self.gates.get(server_id):
            gate.wait(_LONGEST)
        self.engine.ping()
        if self.fault:
            raise self.fault
        service = yaml.safe_load(file.read_text())["services"][server_id]
        self._check_network(server_id, recreate=recreate)
        if service["image"] not in self.engine.images:
            raise ComposeFailed("image_missing", "The image is not on this host.")
        if self.engine.alive(server_id):
            self.engine.harm.append(f"`up` was run on {server_id} under its players")
        environment = service["environment"]
        self.engine.did.append(f"{'recreate' if recreate else 'up'} {server_id}")
        ports = Ports(int(environment["SERVERGAMEPORT"]), int(environment["SERVERMESSAGINGPORT"]))
        self.engine.run(server_id, ports, service["labels"])

    def _check_network(self, server_id: str, *, recreate: bool) -> None:
        ids = {network.id for network in self.engine.networks(NETWORK)}
        if len(ids) > 1:
            raise ComposeFailed("network_ambiguous", "There are several Docker networks of one name.")
        there = self.engine.containers.get(server_id)
        if not ids or (there and not recreate and not ids & set(there.network_ids.values())):
            raise ComposeFailed("network_missing", "The Docker network does not exist, or was made anew.")

    def await_orphan(self, _server_id: str) -> bool:
        """Say that nothing is left of what a dead agent began."""
        return False


@dataclass
class FakeSupervisor:
    """Tunnels: what runs, with which file."""

    directory: Path
    engine: FakeEngine
    running: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, TunnelReason] = field(default_factory=dict)
    down_since: dict[str, float] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)

    def run(self, server_id: str) -> None:
        """Run a client with the file that is there."""
        if not self.engine.alive(server_id):
            self.engine.harm.append(f"a tunnel to {server_id} was run while that was down")
        text = (self.directory / server_id / "client.toml").read_text()
        if self.running.get(server_id) != text:
            self.did.append(f"run {server_id}")
            self.reasons.pop(server_id, None)
        self.running[server_id] = text

    def bounce(self, server_id: str) -> None:
        """Run it anew."""
        self.did.append(f"bounce {server_id}")

    def stop(self, server_id: str) -> None:
        """End it; none is fine."""
        if self.running.pop(server_id, None):
            self.did.append(f"stop {server_id}")

    forget = stop

    def status(self, server_id: str) -> TunnelStatus:
        """Say whether it runs."""
        if server_id not in self.running:
            return stopped(utc_now())
        reason = self.reasons.get(server_id)
        state, down = TunnelState.FAILED if reason else TunnelState.UP, self.down_since.get(server_id)
        return TunnelStatus(state, reason, "", utc_now(), down_since=down, pid=1)


@dataclass
class FakeManager:
    """The instance manager: one caller at a time.

    Attributes:
        fault: raised by every call, until it is None again.
        shift: how far above the requested ports the public ones are.
        needs: the token without which it answers 401; None where it asks for none.
        instances: what it has, by server.
        tokens: what came with each call.
        dead: instances whose rathole server died with the manager.
        at_once: how many callers it served at one time, at most.
    """

    fault: ManagerFailed | None = None
    shift: int = 0
    needs: str | None = None
    instances: dict[str, Ports] = field(default_factory=dict)
    tokens: list[str | None] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    config_fault: ManagerFailed | None = None
    calls: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, server_id: str, ports: Ports, user_token: str | None = None) -> Instance:
        """Make an instance; one that is there is as good."""
        with self.lock:
            self._admit(f"create {server_id}", user_token)
            new = Ports(ports.game + self.shift, ports.beacon + self.shift)
            self.instances.setdefault(server_id, new)
            granted = self.instances[server_id]
            return Instance(20000, granted.game, granted.beacon, "play.example.org", server_id not in self.dead)

    def client_config(self, server_id: str, user_token: str | None = None) -> str | None:
        """Return the file of an instance."""
        with self.lock:
            self._admit(f"config {server_id}", user_token)
            if self.config_fault:
                raise self.config_fault
            ports = self.instances[server_id]
            return render_client_config(own_client_config(server_id, ports, "203.0.113.9", 20000, "t0ken"))

    def delete(self, server_id: str, user_token: str | None = None) -> None:
        """Remove an instance; none is fine."""
        with self.lock:
            self._admit(f"delete {server_id}", user_token)
            self.instances.pop(server_id, None)
            self.dead.discard(server_id)

    def _admit(self, call: str, user_token: str | None) -> None:
        self.calls.append(call)
        self.tokens.append(user_token)
        if self.fault:
            raise self.fault
        if self.needs and user_token != self.needs:
            raise ManagerFailed("auth_refused", "The manager refuses the agent's token; set ACCESS_TOKEN.")


@dataclass
class FakeGames:
    """Games that answer where a test says so."""

    answering: set[str] = field(default_factory=set)

    def look(self, server_id: str, _started_at: str, _address: str | None, _port: int) -> GameSeen:
        """Say what the game says."""
        answers = server_id in self.answering
        return GameSeen(answers, answers, settled=answers, played=answers)

    def forget(self, server_id: str) -> None:
        """Drop it."""
        self.answering.discard(server_id)


@dataclass
class Agent:
    """One life of the agent: its objects on the store that all lives share."""

    store: Store
    hands: Hands
    operations: Operations
    actions: Actions
    reconciler: Reconciler
    servers: Servers
    events: DockerEvents

    def row(self, server_id: str = "srv_a_00000001") -> Server:
        """Return what is wanted of a server."""
        server = self.hands.servers.get(server_id)
        assert server
        return server


class World:
    """A host with its VPS, on which agents live one after the other.

    Args:
        root: the data directory.
        environ: settings of the operator.
    """

    def __init__(self, root: Path, **environ: str) -> None:
        self.root = root
        self.engine = FakeEngine()
        self.compose = FakeCompose(self.engine)
        self.layout = Layout(root)
        self.tunnels = FakeSupervisor(self.layout.tunnels, self.engine)
        self.engine.tunnels = self.tunnels
        self.manager = FakeManager()
        self.games = FakeGames()
        self.saving = FakeSaving()
        self.engine.saves = self.saving
        self.credentials = Credentials(self.layout)
        self.admins = FakeAdmins(root / "games", self.credentials)
        self.later = 0.0
        usual = {
            "NODE_ID": "node-1",
            "HOST_AGENT_API_KEY": "0123456789abcdef",
            "SATIS_DATA_DIR": str(root),
            "RATHOLE_INSTANCE_MANAGER_HOST": "vps.example.org",
            "MAX_SERVERS": "30",
        }
        self.settings = load_settings(usual | environ)
        self.agents: list[Agent] = []

    def clock(self) -> float:
        """Seconds; they pass, and a test may let more of them pass."""
        return time.monotonic() + self.later

    def boot(self, *, start: bool = True) -> Agent:
        """Let an agent live here; without `start` its keepers rest."""
        store = Store(self.layout.database)
        table = ServerTable(store)
        hands = self._hands(store, table)
        operations = Operations(store, OperationTable(store))
        actions = Actions(hands)
        reconciler = Reconciler(hands, operations, actions)
        dangling = Dangling(self.settings, self.layout, table, hands.engine, clock=self.clock)
        servers = Servers(hands, operations, actions, reconciler, dangling)
        events = DockerEvents(hands.stops, reconciler)
        self.agents.append(Agent(store, hands, operations, actions, reconciler, servers, events))
        if start:
            reconciler.start()
        return self.agents[-1]

    def _hands(self, store: Store, table: ServerTable) -> Hands:
        manager = cast("Any", self.manager) if self.settings.manager_url else None
        return Hands(
            settings=self.settings,
            layout=self.layout,
            servers=table,
            engine=cast("Any", self.engine),
            compose=cast("Any", self.compose),
            supervisor=cast("Any", self.tunnels),
            instances=Instances(manager, self.settings, table, OrphanTable(store), clock=self.clock),
            games=cast("Any", self.games),
            claims=Claims(cast("Any", self.admins)),
            saving=cast("Any", self.saving),
            watchdog=Watchdog(
                self.settings.watchdog_seconds, clock=self.clock, changed=lambda _: None, ask=lambda *_: True
            ),
            crashes=Crashes(self.settings, table, logs=self.engine.logs, wall=time.time),
            stops=Stops(
                cast("Any", self.engine),
                table,
                clock=time.time,
                returned=lambda: self.agents[-1].reconciler.wake_all(urgent=True),
            ),
            own_container="agent",
            clock=self.clock,
        )

    def end(self) -> None:
        """End all lives."""
        for gate in self.compose.gates.values():
            gate.set()
        for agent in self.agents:
            agent.reconciler.stop()
            agent.store.close()

    def count(self, did: str) -> int:
        """Return how often something was done to a container."""
        return self.engine.did.count(did)

    def nothing_left(self, server_id: str = "srv_a_00000001") -> None:
        """Hold that no trace of a server is left."""
        assert self.agents[-1].hands.servers.get(server_id) is None
        assert server_id not in self.engine.containers
        assert server_id not in self.tunnels.running
        for folder in (self.layout.server, self.layout.tunnel, self.layout.trash_of):
            assert not folder(server_id).exists()

    def reached(self, server_id: str = "srv_a_00000001") -> None:
        """Wait until players reach the server."""
        wait_until(lambda: server_id in self.tunnels.running, within=10, saying=f"a tunnel leads to {server_id}")
