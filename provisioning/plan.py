"""What to do next for one server: pure, and the only place where that is decided.

`plan` names the actions whose conditions hold now and which do not wait for one another; they are
run side by side, then the world is looked at again. It is empty when all is as it should be, so a
crash at any point costs nothing: the next look leads to the same end.
"""

from dataclasses import dataclass
from enum import StrEnum

from core.models import Ports
from core.servers import Server
from provisioning.watchdog import Verdict

# Docker's words for a container that runs or that Docker itself is about to run again.
ALIVE = frozenset({"running", "restarting", "paused"})


class Action(StrEnum):
    """One step that changes the world."""

    ENSURE_NETWORK = "ensure_network"
    JOIN_NETWORK = "join_network"
    PULL_IMAGE = "pull_image"
    ASK_MANAGER = "ask_manager"
    REMAKE_INSTANCE = "remake_instance"
    WRITE_COMPOSE_FILE = "write_compose_file"
    UP = "up"
    RECREATE = "recreate"
    STOP_CONTAINER = "stop_container"
    REMOVE_CONTAINER = "remove_container"
    CLAIM = "claim"
    SAVE_GAME = "save_game"
    WRITE_CLIENT_CONFIG = "write_client_config"
    RUN_TUNNEL = "run_tunnel"
    BOUNCE_TUNNEL = "bounce_tunnel"
    STOP_TUNNEL = "stop_tunnel"
    RELEASE_INSTANCE = "release_instance"
    REMOVE_FILES = "remove_files"
    FORGET = "forget"


@dataclass(frozen=True)
class ContainerSeen:
    """The container of a server, as Docker tells it.

    Attributes:
        status: Docker's own word.
        started_at: Docker's text; it tells one run from the next.
        ports: the ports that the game in it was given.
        on_network: it holds the present `satis_network`, not one that is gone.
        joinable: it holds none of that name, and Docker has not refused to put it on it while it runs.
        address: its IPv4 address there, None where it has none.
    """

    status: str
    started_at: str
    ports: Ports | None
    on_network: bool
    joinable: bool
    address: str | None

    @property
    def run(self) -> str:
        """What a tunnel is begun anew for when it changes: a start, or another address."""
        return f"{self.started_at} {self.address}"

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or Docker is about to run it again."""
        return self.status in ALIVE


@dataclass(frozen=True)
class Observed:
    """The world around one server, as just seen.

    Attributes:
        container: its container, None where there is none.
        network_present: there is one `satis_network`; beside a twin, Compose refuses it as ambiguous.
        image_present: the image is on this host.
        compose_file_right: the file on disk is what we would write.
        manager_due: there is a manager, and it may be asked now.
        manager_failed: the manager was asked last and did not give an instance.
        instance_stale: the instance we know may not be the VPS's: rathole says so, or has not been reached for 5 s.
        instance_refused: the VPS has refused the client for so long that its instance may be made anew.
        client_file_right: client.toml on disk is what we would write.
        can_tunnel: the agent runs where server names resolve: in a container.
        tunnel_runs: the supervisor keeps a client for it.
        game_answers: the game answered the lightweight query just now.
        address_settled: it has answered at the same address for a while.
        path: whether it also answers through its tunnel.
        files_present: folders of it are on disk.
        game_ready: it answers and does not load, so its API is up.
        claim_due: it came with a password, and may still belong to whoever reaches it first.
        save_due: it may hold what is not on disk, and dies unsaved.
    """

    container: ContainerSeen | None
    network_present: bool
    image_present: bool
    compose_file_right: bool
    manager_due: bool
    manager_failed: bool
    instance_stale: bool
    instance_refused: bool
    client_file_right: bool
    can_tunnel: bool
    tunnel_runs: bool
    game_answers: bool
    address_settled: bool
    path: Verdict
    files_present: bool
    game_ready: bool = False
    claim_due: bool = False
    save_due: bool = False

    @property
    def is_alive(self) -> bool:
        """Whether its container runs."""
        return self.container is not None and self.container.is_alive


def plan(server: Server, ports: Ports, seen: Observed) -> set[Action]:
    """Return the actions to run now, side by side; none when all is as it should be.

    Args:
        server: what should be.
        ports: the ports that the game should have.
        seen: what is.
    """
    if server.deleting:
        return _removal(seen)
    stays = seen.is_alive and is_wanted(server) and not _must_stop_first(server, ports, seen)
    if seen.save_due and not stays and not server.crashed:
        return {Action.SAVE_GAME}  # with its tunnel up: a game that cannot be saved goes on as it is
    return _container(server, seen, stays=stays) | _tunnel(server, seen, game_stays=stays)


def _removal(seen: Observed) -> set[Action]:
    if seen.tunnel_runs:
        return {Action.STOP_TUNNEL}
    if seen.container:
        return {Action.REMOVE_CONTAINER}
    return {Action.REMOVE_FILES} if seen.files_present else {Action.FORGET}


def is_wanted(server: Server) -> bool:
    """Whether its game shall run now."""
    return server.container_wanted and not server.stopped_externally and not server.crashed


def _must_stop_first(server: Server, ports: Ports, seen: Observed) -> bool:
    """A running game is ended for a restart, for other ports, or where nobody can reach it; for nothing else."""
    container = seen.container
    if container is None:
        return False
    # Where no tunnel leads to it, nobody is helped by other ports, and whoever plays would be thrown out.
    other_ports = bool(server.client_config) and container.ports is not None and container.ports != ports
    unreachable = not container.on_network and not container.joinable
    return container.started_at == server.restart_from or other_ports or unreachable


def _container(server: Server, seen: Observed, *, stays: bool) -> set[Action]:
    if stays:
        return _around_running(seen)
    if seen.is_alive:
        # The tunnel goes first: one packet that meets a stopped game blackholes its sender (rathole 0.5.0).
        return {Action.STOP_TUNNEL} if seen.tunnel_runs else {Action.STOP_CONTAINER}
    return _start(server, seen) if is_wanted(server) else set()


def _around_running(seen: Observed) -> set[Action]:
    """What can be mended without its players' noticing."""
    actions = set() if seen.compose_file_right else {Action.WRITE_COMPOSE_FILE}
    if seen.claim_due and seen.game_ready:
        actions.add(Action.CLAIM)
    if not seen.network_present:
        actions.add(Action.ENSURE_NETWORK)
    elif seen.container and not seen.container.on_network:
        actions.add(Action.JOIN_NETWORK)
    return actions


def _start(server: Server, seen: Observed) -> set[Action]:
    missing = set()
    if not seen.network_present:
        missing.add(Action.ENSURE_NETWORK)
    if not seen.image_present:
        missing.add(Action.PULL_IMAGE)
    if missing or _awaits_manager(server, seen) or _gives_ports_back(server):
        return missing
    if not seen.compose_file_right:
        return {Action.WRITE_COMPOSE_FILE}
    # A container that holds a network which is gone cannot be started, only made anew (tried, both ages of Compose).
    stale = seen.container is not None and not seen.container.on_network
    return {Action.RECREATE} if stale else {Action.UP}


def _awaits_manager(server: Server, seen: Observed) -> bool:
    """The manager may name other ports, so the game waits for it, unless it failed to answer."""
    return _in_doubt(server, seen) and seen.manager_due and not seen.manager_failed


def _gives_ports_back(server: Server) -> bool:
    """With its instance a game loses the ports that the manager named, and is started with the requested ones."""
    return not server.tunnel_wanted and server.client_config is not None


def _in_doubt(server: Server, seen: Observed) -> bool:
    """Whether there is an instance for the tunnel is for the manager to say."""
    return server.tunnel_wanted and (server.client_config is None or seen.instance_stale)


def _tunnel(server: Server, seen: Observed, *, game_stays: bool) -> set[Action]:
    if seen.tunnel_runs and not (server.tunnel_wanted and server.client_config and game_stays):
        return {Action.STOP_TUNNEL}
    if not server.tunnel_wanted:
        return {Action.RELEASE_INSTANCE} if _gives_ports_back(server) else set()
    if seen.manager_due and seen.instance_refused and game_stays:
        return {Action.REMAKE_INSTANCE}
    # A manager that failed may take a minute to fail again: by then the game shall run.
    may_ask = is_wanted(server) and (game_stays or not seen.manager_failed)
    if seen.manager_due and may_ask and _in_doubt(server, seen):
        return {Action.ASK_MANAGER}
    return _client(server, seen, game_stays=game_stays) if server.client_config else set()


def _client(server: Server, seen: Observed, *, game_stays: bool) -> set[Action]:
    if not seen.client_file_right:
        return {Action.WRITE_CLIENT_CONFIG}
    if not game_stays or not seen.can_tunnel or seen.container is None:
        return set()
    if not seen.tunnel_runs:
        return set() if seen.claim_due else {Action.RUN_TUNNEL}
    follows = not seen.game_answers or server.bounced_for == seen.container.run
    if follows:
        return {Action.BOUNCE_TUNNEL} if seen.path is Verdict.BOUNCE else set()
    # Who sent a packet before the game listened is stuck until the tunnel begins anew (rathole 0.5.0,
    # client.rs:351), and so is who plays while the address changes: rathole resolves it once for each player.
    started_anew = not (server.bounced_for or "").startswith(seen.container.started_at)
    return {Action.BOUNCE_TUNNEL} if started_anew or seen.address_settled else set()
