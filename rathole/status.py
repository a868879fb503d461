"""What a tunnel works with, and what is said of it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from core.models import TunnelReason, TunnelState
from core.proc import ProcessIdentity
from rathole.services import ServiceStatus


class ProcessRecords(Protocol):
    """Where the processes stand that a successor of this agent must find again."""

    def record(self, server_id: str, identity: ProcessIdentity, started_at: str) -> None:
        """Keep the process of a server in place of the one before."""

    def forget(self, server_id: str) -> None:
        """Drop it; none is fine."""

    def all(self) -> dict[str, tuple[ProcessIdentity, str]]:
        """Return identity and time of start of each, by server id."""


@dataclass(frozen=True)
class Tools:
    """What every tunnel works with: the binary, the records, and the sources of time and chance."""

    binary: str
    records: ProcessRecords
    clock: Callable[[], float]
    wall: Callable[[], str]
    random: Callable[[], float]


@dataclass(frozen=True)
class TunnelStatus:
    """What a tunnel does.

    Attributes:
        state: as a whole.
        reason: why it is not up, where there is a code for it.
        message: a sentence.
        since: since when it has this state, ISO 8601, UTC.
        down_since: since when it is not up though it shall be, over all its tries, on the clock passed in, since the
            wall's may be set back meanwhile; None otherwise.
        services: what each service does, by name.
        pid: of the client process.
        started_at: when that was started, ISO 8601, UTC.
    """

    state: TunnelState
    reason: TunnelReason | None
    message: str
    since: str
    down_since: float | None = None
    services: dict[str, ServiceStatus] = field(default_factory=dict)
    pid: int | None = None
    started_at: str | None = None


STOPPED = (None, "No rathole client shall run for this server.")


def stopped(since: str) -> TunnelStatus:
    """Return the status of a tunnel that nobody asked for."""
    return TunnelStatus(TunnelState.STOPPED, *STOPPED, since=since)
