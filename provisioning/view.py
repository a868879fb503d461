"""What is said of a server to those who ask: desired, observed and under way in one picture."""

from dataclasses import dataclass, replace

from compose.container import Container
from core.errors import AgentError
from core.models import OperationKind, Phase, Ports, ServerSpec, TunnelReason, TunnelState
from core.operations import Operation
from core.servers import Server
from core.settings import Settings
from provisioning.budget import Deaths
from provisioning.crashes import Crash
from provisioning.observe import Look
from provisioning.plan import ALIVE
from provisioning.watchdog import Verdict
from rathole.status import TunnelStatus

_MANAGER_REASONS = {
    "auth_refused": TunnelReason.AUTH_REFUSED,
    "config_refused": TunnelReason.CONFIG_REFUSED,
    "manager_refused": TunnelReason.CONFIG_REFUSED,
}
_PORT_TAKEN = 409


@dataclass(frozen=True)
class TunnelView:
    """How players reach the server.

    Attributes:
        state: of the whole tunnel.
        reason: why it is not up, where there is a code for it.
        message: the same, as a sentence.
        status: what the supervisor says, with each service.
    """

    state: TunnelState
    reason: TunnelReason | None
    message: str
    status: TunnelStatus


@dataclass(frozen=True)
class ServerView:
    """One server, as told to those who ask.

    Attributes:
        spec: the request.
        phase: what it does as a whole.
        reason: why, a code; None where there is nothing to say.
        message: the same, as a sentence.
        container: Docker's view; None where there is no container, or Docker was never seen.
        tunnel: the tunnel's.
        ports: the public ports; the requested ones until the manager named others.
        public_address: what a player types, `host:port`; None where nobody knows.
        operation: the newest, under way or ended.
        pending_changes: what is wanted differs from what runs, and is applied at the next stop and start.
        observed_at: when Docker was last seen, ISO 8601; None before that.
        last_crash: how the game was given up the last time; None where it never was.
    """

    spec: ServerSpec
    phase: Phase
    reason: str | None
    message: str
    container: Container | None
    tunnel: TunnelView
    ports: Ports
    public_address: str | None
    operation: Operation | None
    pending_changes: bool
    observed_at: str | None
    last_crash: Crash | None = None

    @property
    def server_id(self) -> str:
        """The id."""
        return self.spec.server_id

    @property
    def requested_ports(self) -> Ports:
        """The ports of the request."""
        return self.spec.ports

    @property
    def may_run(self) -> bool:
        """Whether a game runs, for all that is known: nobody may have looked yet."""
        if self.container is None:
            return self.observed_at is None
        return self.container.status in ALIVE


@dataclass(frozen=True)
class ClientView:
    """The tunnel client of one server, as the wire names it.

    Attributes:
        config_path: its client.toml.
        ports: the public ports.
        status: what the supervisor says.
    """

    config_path: str
    ports: Ports
    status: TunnelStatus


@dataclass(frozen=True)
class Facts:
    """All that a view is made of."""

    settings: Settings
    server: Server
    look: Look | None
    tunnel: TunnelStatus
    manager_fault: AgentError | None
    operation: Operation | None
    in_container: bool


def view_of(facts: Facts) -> ServerView:
    """Put one server's picture together."""
    server, look = facts.server, facts.look
    tunnel = _tunnel(facts)
    phase, reason, message = _phase(facts, tunnel)
    alive = look is not None and look.seen.is_alive
    return ServerView(
        spec=server.spec,
        phase=phase,
        reason=reason,
        message=message,
        container=look.container if look else None,
        tunnel=tunnel,
        ports=server.public_ports or server.spec.ports,
        public_address=_public_address(facts.settings, server),
        operation=facts.operation,
        pending_changes=look is not None and alive and look.differs,
        observed_at=look.observed_at if look else None,
        last_crash=Crash.of(server),
    )


def _public_address(settings: Settings, server: Server) -> str | None:
    """Return what players type; nobody knows before the manager granted the ports."""
    if server.client_config:
        host = settings.rathole_public_host or server.public_host or settings.rathole_instance_manager_host
    else:
        host = settings.advertise_address if settings.ports_published else ""
    ports = server.public_ports or server.spec.ports
    return f"{_bracketed(host)}:{ports.game}" if host else None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _status(facts: Facts) -> TunnelStatus:
    """Return what the supervisor says, unless the tunnel is up and no player gets in by it."""
    own, granted = facts.server.spec.ports, facts.server.public_ports
    if facts.settings.port_policy == "follow" or facts.tunnel.state is not TunnelState.UP or granted in {None, own}:
        return facts.tunnel
    text = (
        f"The game has the ports {own.game} and {own.beacon}, and the manager granted others: players do not get in. "
        "Set PORT_POLICY=follow, or have the manager grant these."
    )
    return replace(facts.tunnel, state=TunnelState.DEGRADED, reason=TunnelReason.PORT_MISMATCH, message=text)


def _tunnel(facts: Facts) -> TunnelView:
    status = _status(facts)
    if facts.settings.manager_url is None and facts.server.client_config is None:
        return TunnelView(TunnelState.STOPPED, None, "No instance manager is set, so there is no tunnel.", status)
    if not facts.in_container:
        text = "The agent runs outside a container, where server names do not resolve; it starts no tunnel."
        return TunnelView(TunnelState.STOPPED, None, text, status)
    fault = facts.manager_fault
    if fault and facts.server.tunnel_wanted and facts.server.client_config is None:
        return TunnelView(TunnelState.BACKOFF, _reason_of(fault), fault.message, status)
    if status.state is TunnelState.STOPPED and facts.server.tunnel_wanted:
        return TunnelView(
            status.state, TunnelReason.CONTAINER_DOWN, "The game does not run, so nor does its tunnel.", status
        )
    if status.state is TunnelState.UP and facts.look and facts.look.seen.path is Verdict.FAILED:
        return TunnelView(TunnelState.DEGRADED, TunnelReason.DATA_PATH_FAILED, _silent_path(facts), status)
    return TunnelView(status.state, status.reason, status.message, status)


def _silent_path(facts: Facts) -> str:
    port = (facts.server.public_ports or facts.server.spec.ports).game
    return (
        f"The game answers on this host and not through its tunnel, which was begun anew in vain. Check on the VPS "
        f"that its firewall lets {port}/udp in, and that its rathole server could bind that port: where it could "
        f"not, its log says 'Address already in use'."
    )


def _reason_of(fault: AgentError) -> TunnelReason:
    """A manager that answers garbage is as good as away."""
    if fault.details.get("status") == _PORT_TAKEN:
        return TunnelReason.PORT_TAKEN
    return _MANAGER_REASONS.get(fault.code, TunnelReason.MANAGER_UNREACHABLE)


def _phase(facts: Facts, tunnel: TunnelView) -> tuple[Phase, str | None, str]:
    server = facts.server
    under_way = facts.operation if facts.operation and facts.operation.is_open else None
    if server.deleting:
        return Phase.DELETING, None, "The server is being removed with its data."
    if under_way and under_way.kind is OperationKind.PROVISION:
        return Phase.PROVISIONING, None, f"The server is being set up ({under_way.step or 'waiting'})."
    if server.stopped_externally or server.crashed or not server.container_wanted:
        return _at_rest(facts)
    if facts.look is None or not facts.look.seen.is_alive:
        return _not_running(server)
    return _running(facts, tunnel)


def _at_rest(facts: Facts) -> tuple[Phase, str | None, str]:
    if facts.server.stopped_externally:
        text = "Somebody stopped the container by hand; start the server to run it again."
        return Phase.STOPPED_EXTERNALLY, None, text
    if facts.server.container_wanted and (crash := Crash.of(facts.server)):
        return Phase.CRASHED, crash.reason, crash.message
    if facts.look and facts.look.seen.is_alive:
        return Phase.STOPPING, None, "The server is being stopped."
    return Phase.STOPPED, None, "The server is stopped; its data is kept."


def _not_running(server: Server) -> tuple[Phase, str | None, str]:
    if server.failure_code:
        return Phase.FAILED, server.failure_code, server.failure_message or ""
    return Phase.STARTING, None, "The container is about to run."


def _starting(facts: Facts) -> tuple[Phase, str | None, str]:
    deaths = Deaths.from_json(facts.server.deaths)
    if deaths.oom_killed:
        return (
            Phase.STARTING,
            "oom_killed",
            "The game was ended for want of memory and starts again; give it more (ramAllocation).",
        )
    if deaths.unready:
        text = f"The game ended before it was ready ({deaths.unready} in a row); Docker starts it again and again."
        return Phase.STARTING, "died_before_ready", text
    return Phase.STARTING, None, "The game loads; it can take minutes, at the first start much longer."


def _running(facts: Facts, tunnel: TunnelView) -> tuple[Phase, str | None, str]:
    if facts.look and not facts.look.game.ready:
        return _starting(facts)
    reached = tunnel.state is TunnelState.UP or (facts.settings.manager_url is None and not facts.server.client_config)
    if reached:
        return Phase.READY, None, "Players can join."
    return Phase.DEGRADED, tunnel.reason, f"The game runs, but its tunnel does not: {tunnel.message}"
