"""A world on paper: what each action of a plan changes, and which order of things would harm a player."""

from dataclasses import dataclass, replace

from core.models import Ports, ServerSpec
from core.servers import Server
from provisioning.plan import Action, ContainerSeen, Observed, plan

SPEC = ServerSpec(server_id="srv_a_00000001", server_name="A", game_port=30000, beacon_port=31000)
GRANTED = Ports(40000, 40001)
FIRST_RUN = "2026-01-01T00:00:00Z"

SERVER = Server(
    spec=SPEC,
    container_wanted=True,
    tunnel_wanted=True,
    deleting=False,
    stopped_externally=False,
    public_ports=SPEC.ports,
    public_host=None,
    client_config="[client]",
    restart_from=None,
    bounced_for=FIRST_RUN,
    failure_code=None,
    failure_message=None,
    created_at=FIRST_RUN,
)
RUNNING = ContainerSeen("running", FIRST_RUN, SPEC.ports, on_network=True)
STOPPED = replace(RUNNING, status="exited")
SEEN = Observed(
    container=RUNNING,
    network_present=True,
    image_present=True,
    compose_file_right=True,
    manager_due=False,
    manager_failed=False,
    instance_stale=False,
    client_file_right=True,
    can_tunnel=True,
    tunnel_runs=True,
    game_answers=True,
    files_present=True,
)


@dataclass
class Paper:
    """One server and the world around it, of which an action changes what it would change in truth.

    Attributes:
        server: what should be.
        seen: what is.
        granted: the public ports that the manager gives; None where it fails.
        follow: whether the game takes them.
        gone: the row was forgotten.
    """

    server: Server
    seen: Observed
    granted: Ports | None = GRANTED
    follow: bool = True
    gone: bool = False
    runs: int = 0

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

    def _ask_manager(self) -> None:
        assert self.seen.manager_due
        if self.granted is None:
            self._see(manager_due=False, manager_failed=True)
            return
        self._wish(public_ports=self.granted, client_config="[client] # of the manager")
        self._see(manager_due=False, manager_failed=False, instance_stale=False, client_file_right=False)

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
        new = ContainerSeen("running", f"2026-02-01T00:00:0{self.runs}Z", self.ports, on_network=True)
        self._see(container=new, game_answers=False)

    def _stop_container(self) -> None:
        assert not self.seen.tunnel_runs, "a packet that meets a stopped game blackholes its sender"
        assert self.seen.container
        self._see(container=replace(self.seen.container, status="exited"), game_answers=False)

    def _remove_container(self) -> None:
        assert not self.seen.tunnel_runs
        self._see(container=None, game_answers=False)

    def _write_client_config(self) -> None:
        assert self.server.client_config
        self._see(client_file_right=True, files_present=True)

    def _run_tunnel(self) -> None:
        assert self.seen.is_alive
        assert self.seen.client_file_right
        self._see(tunnel_runs=True)
        if self.seen.game_answers:
            self._bounce_tunnel()

    def _bounce_tunnel(self) -> None:
        assert self.seen.tunnel_runs
        assert self.seen.container
        self._wish(bounced_for=self.seen.container.started_at)

    def _stop_tunnel(self) -> None:
        self._see(tunnel_runs=False)

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
