"""What the services of one tunnel do, as rathole's log tells it. Pure: times are passed in."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.models import TunnelReason, TunnelState
from rathole.log import LogEvent, LogKind
from rathole.states import Event

STUCK_AFTER = 15.0  # seconds without a line of a service that is not connected
FLAPPING_LOSSES = 5
FLAPPING_WITHIN = timedelta(seconds=30)

_STATES = {
    LogKind.ESTABLISHED: TunnelState.UP,
    LogKind.TOKEN_REFUSED: TunnelState.FAILED,
    LogKind.SERVICE_UNKNOWN: TunnelState.FAILED,
}
_REASONS = {
    LogKind.UNREACHABLE: TunnelReason.VPS_UNREACHABLE,
    LogKind.LOST: TunnelReason.VPS_UNREACHABLE,
    LogKind.MISCONFIGURED: TunnelReason.VPS_UNREACHABLE,
    LogKind.TOKEN_REFUSED: TunnelReason.TOKEN_REFUSED,
    LogKind.SERVICE_UNKNOWN: TunnelReason.SERVICE_UNKNOWN,
}
_SENTENCES = {
    LogKind.UNREACHABLE: "The rathole server on the VPS cannot be reached",
    LogKind.LOST: "The connection to the rathole server was lost",
    LogKind.MISCONFIGURED: "What answers on the VPS speaks another protocol, or has another key",
    LogKind.TOKEN_REFUSED: "The rathole server refuses the token of the service",
    LogKind.SERVICE_UNKNOWN: "The rathole server does not know the service",
}


@dataclass(frozen=True)
class ServiceStatus:
    """What one service does.

    Attributes:
        state: `connecting`, `up`, `degraded` (it is lost again and again) or `failed` (refused).
        since: since when, ISO 8601, UTC.
        last_error: rathole's words for the last failure; None where there was none.
        reconnects: how often it was connected again since the client was started.
    """

    state: TunnelState
    since: str
    last_error: str | None
    reconnects: int


class _Service:
    """One service; `heard_at` is on the monotonic clock, all other times are rathole's own."""

    def __init__(self, now: float, wall: str) -> None:
        self.kind: LogKind | None = None
        self.state = TunnelState.CONNECTING
        self.since = wall
        self.heard_at = now
        self.last_error: str | None = None
        self.connects = 0
        self.losses: deque[datetime] = deque(maxlen=FLAPPING_LOSSES)

    def apply(self, event: LogEvent, now: float) -> None:
        if event.kind is LogKind.LOST and self.state is TunnelState.UP:
            self.losses.append(datetime.fromisoformat(event.time))
        self.connects += event.kind is LogKind.ESTABLISHED
        self.last_error = event.text or self.last_error
        self._enter(_STATES.get(event.kind, TunnelState.CONNECTING), event.time)
        self.kind, self.heard_at = event.kind, now

    def assume_up(self, wall: str) -> None:
        self.connects = 1
        self._enter(TunnelState.UP, wall)

    def _enter(self, state: TunnelState, time: str) -> None:
        if state is not self.state:
            self.state, self.since = state, time

    def is_flapping(self, wall: str) -> bool:
        full = len(self.losses) == FLAPPING_LOSSES
        # Losses that lie ahead were before the clock was set back, who knows when.
        return full and timedelta(0) <= datetime.fromisoformat(wall) - self.losses[0] <= FLAPPING_WITHIN

    def status(self, wall: str) -> ServiceStatus:
        state = TunnelState.DEGRADED if self.is_flapping(wall) else self.state
        return ServiceStatus(state, self.since, self.last_error, max(0, self.connects - 1))


class Services:
    """All services of one tunnel.

    Args:
        names: as the configuration has them; lines about others are ignored.
        now: the monotonic clock, in seconds.
        wall: the time now, ISO 8601.
    """

    def __init__(self, names: Iterable[str], now: float, wall: str) -> None:
        self._services = {name: _Service(now, wall) for name in names}
        self.heard = False

    def apply(self, event: LogEvent, now: float) -> None:
        """Take in one line of the log."""
        if event.service not in self._services:
            return
        self.heard = True
        if event.kind is LogKind.STARTING:  # a new client: what was before does not count
            self._services[event.service] = _Service(now, event.time)
        self._services[event.service].apply(event, now)

    def assume_unheard_up(self, wall: str) -> None:
        """Count a service of an adopted client as connected where the end of its log does not speak of it.

        rathole is silent only about services that work: others it tries again, and says so, each 130 s at least.
        """
        self.heard = True
        for service in self._services.values():
            if service.kind is None:
                service.assume_up(wall)

    def event(self, wall: str) -> Event | None:
        """Return what all of them together mean for the tunnel; None while the client has said nothing."""
        states = {service.status(wall).state for service in self._services.values()}
        if not self.heard:
            return None
        if states == {TunnelState.UP}:
            return Event.ALL_UP
        return Event.SOME_UP if states & {TunnelState.UP, TunnelState.DEGRADED} else Event.NONE_UP

    def silent_for(self, now: float) -> float:
        """Return for how many seconds nothing was heard of a service that is not connected, at worst."""
        waiting = (service for service in self._services.values() if service.state is TunnelState.CONNECTING)
        return max((now - service.heard_at for service in waiting), default=0.0)

    def refusal(self) -> tuple[TunnelReason, str] | None:
        """Return reason and sentence where the VPS refuses a service."""
        for name, service in self._services.items():
            if service.state is TunnelState.FAILED and service.kind:
                return _REASONS[service.kind], f"{_SENTENCES[service.kind]} {name}."
        return None

    def trouble(self, now: float, wall: str) -> tuple[TunnelReason | None, str]:
        """Return reason and sentence for the worst of what is not connected."""
        for name, service in self._services.items():
            if service.is_flapping(wall):
                return None, f"The service {name} is lost again and again: another client uses the same names."
        if self.silent_for(now) >= STUCK_AFTER:
            return (
                TunnelReason.STUCK,
                "The rathole client says nothing: the VPS takes the connection or drops it, unanswered.",
            )
        for name, service in self._services.items():
            if service.kind in _REASONS:
                return _REASONS[service.kind], f"{_SENTENCES[service.kind]} ({name}: {service.last_error})."
        return None, "The rathole client is connecting to the VPS."

    def status(self, wall: str) -> dict[str, ServiceStatus]:
        """Return a copy of the state of each."""
        return {name: service.status(wall) for name, service in self._services.items()}
