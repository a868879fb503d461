"""A world on paper: what each action of a plan changes, and which order of things would harm a player."""

from dataclasses import dataclass, replace

from core.models import Ports, ServerSpec
from core.servers import Server
from provisioning.plan import Action, ContainerSeen, Observed, plan
from provisioning.watchdog import Verdict

SPEC = ServerSpec(server_id="srv_a_00000001", server_name="A", game_port=30000, beacon_port=31000)
GRANTED = Ports(40000, 40001)
FIRST_RUN, ADDRESS = "2026-01-01T00:00:00Z", "172.20.0.2"
RUNNING = ContainerSeen("running", FIRST_RUN, SPEC.ports, on_network=True, joinable=False, address=ADDRESS)
STOPPED = replace(RUNNING, status="exited", address=None)

SERVER = Server(
    spec=SPEC,
    container_wanted=True,
    tunnel_wanted=True,
    deleting=False,
    stopped_externally=False,
    crashed=False,
    public_ports=SPEC.ports,
    public_host=None,
    client_config="[client]",
    restart_from=None,
    bounced_for=RUNNING.run,
    failure_code=None,
    failure_message=None,
    deaths=None,
    last_crash=None,
    created_at=FIRST_RUN,
)
SEEN = Observed(
    container=RUNNING,
    network_present=True,
    image_present=True,
    compose_file_right=True,
    manager_due=False,
    manager_failed=False,
    instance_stale=False,
    instance_refused=False,
    client_file_right=True,
    can_tunnel=True,
    tunnel_runs=True,
    game_answers=True,
    address_settled=True,
    path=Verdict.FINE,
    files_present=True,
    game_ready=True,
    claim_due=False,
    save_due=False,  # as in the moments after a save
)
_SILENT = {"game_answers": False, "game_ready": False, "address_settled": False, "path": Verdict.FINE}


@dataclass
class Paper:
    """One server and the world around it, of which an action changes what it would change in truth.

    Attributes:
        server: what should be.
        seen: what is.
        granted: the public ports that the manager gives; None where it fails.
        follow: whether the game takes them.
        locked: the game is to be claimed before anybody can reach it.
        gone: the row was forgotten.
        runs: how often the game was started.
        started_without: the manager's answer was not waited for, and may come with other ports.
        closed: the tunnel of its present run was ended.
    """

    server: Server
    seen: Observed
    granted: Ports | None = GRANTED
    follow: bool = True
    locked: bool = False
    gone: bool = False
    runs: int = 0
    started_without: bool = False
    closed: bool = False

    @property
    def ports(self) -> Ports:
        """The ports that the game should have."""
        return (self.follow and self.server.public_ports) or self.server.spec.ports

    def planned(self) -> set[Action]:
        """Return the next actions; none for a server that was forgotten."""
        return set() if self.gone else plan(self.server, self.ports, self.seen)

    def settle(self, most: int = 25) -> list[set[Action]]:
        """Apply plan after plan until one is empty; return them."""
        done = []
        while actions := self.planned():
            assert len(done) < most, f"The plan does not come to an end: {done}"
            for action in sorted(actions):
                getattr(self, f"_{action}")()
            done.append(actions)
        return done

    def load(self) -> None:
        """Let the time pass that a running game needs to be ready."""
        if not self.gone and self.seen.container and self.seen.is_alive:
            up = replace(self.seen.container, status="running")
            self._see(container=up, game_answers=True, game_ready=True, address_settled=True)

    def _see(self, **what: object) -> None:
        self.seen = replace(self.seen, **what)

    def _wish(self, **what: object) -> None:
        before = self.ports
        self.server = replace(self.server, **what)
        if self.ports != before:
            self._see(compose_file_right=False)

    def _ensure_network(self) -> None:
        self._see(network_present=True)

    def _pull_image(self) -> None:
        self._see(image_present=True)

    def _join_network(self) -> None:
        assert self.seen.network_present
        assert self.seen.container
        assert self.seen.container.joinable
        joined = replace(self.seen.container, on_network=True, joinable=False, address="172.20.0.9")
        self._see(container=joined)
        self._wish(bounced_for=None)

    def _ask_manager(self) -> None:
        assert self.seen.manager_due
        if self.granted is None:
            self._see(manager_due=False, manager_failed=True)
            return
        self._wish(public_ports=self.granted, client_config="[client] # of the manager")
        self._see(manager_due=False, manager_failed=False, client_file_right=False)
        self._see(instance_stale=False, instance_refused=False)

    def _remake_instance(self) -> None:
        assert self.seen.instance_refused
        assert self.seen.is_alive, "nobody is refused by the instance of a game that is down"
        self._ask_manager()

    def _write_compose_file(self) -> None:
        self._see(compose_file_right=True, files_present=True)

    def _up(self) -> None:
        assert self.seen.container is None or self.seen.container.on_network, "`up` fails with a network that is gone"
        self._recreate()

    def _recreate(self) -> None:
        assert not self.seen.is_alive, "`up` is never run on a game under its players"
        assert self.seen.network_present
        assert self.seen.image_present
        assert self.seen.compose_file_right
        self.runs += 1
        self.started_without |= self.seen.manager_failed
        self.closed = False
        started, address = f"2026-02-01T00:00:0{self.runs}Z", f"172.20.0.{self.runs + 10}"
        new = ContainerSeen("running", started, self.ports, on_network=True, joinable=False, address=address)
        self._see(container=new, claim_due=self.locked, save_due=True, **_SILENT)

    def _stop_container(self) -> None:
        assert not self.seen.tunnel_runs, "a packet that meets a stopped game blackholes its sender"
        assert self.seen.container
        assert self.server.crashed or not self.seen.save_due, "what was played is lost"
        ended = replace(self.seen.container, status="exited", joinable=False, address=None)
        self._see(container=ended, save_due=False, **_SILENT)

    def _remove_container(self) -> None:
        assert not self.seen.tunnel_runs
        self._see(container=None, claim_due=False, save_due=False, **_SILENT)

    def _claim(self) -> None:
        assert self.seen.is_alive
        assert self.seen.game_ready
        assert self.seen.claim_due
        self._see(claim_due=False)

    def _save_game(self) -> None:
        assert self.seen.is_alive
        assert self.seen.save_due
        assert not self.closed, "where the game cannot be saved it goes on, and then with its tunnel"
        self._see(save_due=False)

    def _write_client_config(self) -> None:
        assert self.server.client_config
        self._see(client_file_right=True, files_present=True)

    def _run_tunnel(self) -> None:
        assert self.seen.is_alive
        assert self.seen.client_file_right
        assert not self.seen.claim_due, "an unclaimed game belongs to whoever reaches it first"
        self.closed = False
        self._see(tunnel_runs=True)
        if self.seen.game_answers:
            self._bounce_tunnel()

    def _bounce_tunnel(self) -> None:
        assert self.seen.tunnel_runs
        assert self.seen.container
        self._see(path=Verdict.FINE)
        self._wish(bounced_for=self.seen.container.run)

    def _stop_tunnel(self) -> None:
        self.closed = True
        self._see(tunnel_runs=False, instance_refused=False, path=Verdict.FINE)

    def _release_instance(self) -> None:
        assert not self.seen.tunnel_runs
        self._wish(client_config=None, public_ports=None)

    def _remove_files(self) -> None:
        assert self.seen.container is None
        self._see(files_present=False, compose_file_right=False, client_file_right=False)

    def _forget(self) -> None:
        assert self.seen.container is None
        assert not self.seen.tunnel_runs
        assert not self.seen.files_present
        self.gone = True
