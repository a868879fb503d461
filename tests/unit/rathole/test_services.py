"""What the services of a tunnel mean together, told by lines of rathole's log."""

from datetime import UTC, datetime, timedelta

import pytest

from core.models import TunnelReason, TunnelState
from rathole.log import LogEvent, LogKind
from rathole.services import FLAPPING_LOSSES, STUCK_AFTER, Services
from rathole.states import Event

START = datetime(2026, 11, 23, 12, tzinfo=UTC)


def at(seconds: float) -> str:
    """Return a wall time so many seconds after the start."""
    return (START + timedelta(seconds=seconds)).isoformat()


class Told:
    """Services of one tunnel, told line by line; both clocks go together."""

    def __init__(self, *names: str) -> None:
        self.services = Services(names, 0.0, at(0))
        self.now = 0.0

    def tell(self, service: str, *kinds: LogKind, text: str = "") -> "Told":
        """Have lines come for a service."""
        for kind in kinds:
            self.services.apply(LogEvent(service, kind, at(self.now), text), self.now)
        return self

    def event(self) -> Event | None:
        """Return what they mean now."""
        return self.services.event(at(self.now))

    def trouble(self) -> tuple[TunnelReason | None, str]:
        """Return what is wrong now."""
        return self.services.trouble(self.now, at(self.now))


def test_nothing_is_said_before_the_client_speaks() -> None:
    """A client just started is neither up nor down."""
    assert Told("a").event() is None


def test_up_is_when_all_are_connected() -> None:
    """One of two is degraded, both are up, none is connecting."""
    told = Told("a", "b").tell("a", LogKind.STARTING).tell("b", LogKind.STARTING)
    assert told.event() is Event.NONE_UP
    assert told.tell("a", LogKind.ESTABLISHED).event() is Event.SOME_UP
    assert told.tell("b", LogKind.ESTABLISHED).event() is Event.ALL_UP
    assert told.tell("b", LogKind.LOST).event() is Event.SOME_UP
    assert told.tell("a", LogKind.SHUTDOWN).event() is Event.NONE_UP


def test_a_service_that_the_configuration_does_not_name_is_ignored() -> None:
    """Lines of an earlier configuration stand in the same log."""
    told = Told("a").tell("old", LogKind.TOKEN_REFUSED)

    assert told.event() is None
    assert told.services.refusal() is None


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (LogKind.UNREACHABLE, TunnelReason.VPS_UNREACHABLE),
        (LogKind.LOST, TunnelReason.VPS_UNREACHABLE),
        (LogKind.MISCONFIGURED, TunnelReason.VPS_UNREACHABLE),
    ],
)
def test_a_failure_has_a_reason_and_rathole_s_words(kind: LogKind, reason: TunnelReason) -> None:
    """The sentence names the service and quotes rathole."""
    why, message = Told("a").tell("a", LogKind.STARTING).tell("a", kind, text="its words").trouble()

    assert why is reason
    assert "(a: its words)" in message


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (LogKind.TOKEN_REFUSED, TunnelReason.TOKEN_REFUSED),
        (LogKind.SERVICE_UNKNOWN, TunnelReason.SERVICE_UNKNOWN),
    ],
)
def test_a_refusal_is_named_beside_services_that_work(kind: LogKind, reason: TunnelReason) -> None:
    """One wrong token is enough for the tunnel to be wrong."""
    told = Told("a", "b").tell("a", LogKind.ESTABLISHED).tell("b", kind)
    refusal = told.services.refusal()

    assert refusal is not None
    assert refusal[0] is reason
    assert refusal[1].endswith(" b.")


def test_silence_counts_from_the_last_word_of_a_service_that_is_not_connected() -> None:
    """A connected one has nothing to say; the others speak at each try."""
    told = Told("a", "b").tell("a", LogKind.ESTABLISHED).tell("b", LogKind.STARTING)
    told.now = 10
    told.tell("b", LogKind.UNREACHABLE)
    told.now = 10 + STUCK_AFTER

    assert told.services.silent_for(told.now) == STUCK_AFTER
    assert told.trouble()[0] is TunnelReason.STUCK
    assert told.tell("b", LogKind.ESTABLISHED).services.silent_for(1000) == 0


def test_losses_in_a_row_are_another_client() -> None:
    """Five in 30 s: the service is degraded however often it says that it is connected, and so is the tunnel."""
    told = Told("a").tell("a", LogKind.STARTING, LogKind.ESTABLISHED)
    for _ in range(FLAPPING_LOSSES):
        told.now += 2
        told.tell("a", LogKind.LOST, LogKind.ESTABLISHED)

    assert told.event() is Event.SOME_UP
    assert "another client" in told.trouble()[1]
    assert told.services.status(at(told.now))["a"].state is TunnelState.DEGRADED
    told.now += 31
    assert told.event() is Event.ALL_UP


def test_losses_before_the_clock_was_set_back_do_not_count() -> None:
    """They lie ahead, and would do so for an hour."""
    told = Told("a").tell("a", LogKind.STARTING, LogKind.ESTABLISHED)
    for _ in range(FLAPPING_LOSSES):
        told.now += 2
        told.tell("a", LogKind.LOST, LogKind.ESTABLISHED)

    assert told.services.event(at(told.now - 3600)) is Event.ALL_UP


def test_a_vps_that_is_away_is_no_flapping() -> None:
    """Tries that fail are not losses."""
    told = Told("a").tell("a", LogKind.ESTABLISHED, LogKind.LOST)
    told.tell("a", *[LogKind.UNREACHABLE, LogKind.LOST] * 10)

    assert "another client" not in told.trouble()[1]


def test_status_counts_reconnects_and_keeps_the_last_error() -> None:
    """What an operator wants to know of a service that is up again."""
    told = Told("a").tell("a", LogKind.STARTING, LogKind.ESTABLISHED)
    told.now = 5
    told.tell("a", LogKind.LOST, text="early eof")
    told.now = 6
    told.tell("a", LogKind.ESTABLISHED)

    status = told.services.status(at(6))["a"]

    assert (status.state, status.since, status.last_error, status.reconnects) == (TunnelState.UP, at(6), "early eof", 1)


def test_a_new_client_begins_anew() -> None:
    """What its predecessor wrote into the same log does not count."""
    told = Told("a").tell("a", LogKind.ESTABLISHED, LogKind.LOST, LogKind.TOKEN_REFUSED, LogKind.STARTING)

    assert told.services.refusal() is None
    assert told.services.status(at(0))["a"].last_error is None


def test_an_adopted_client_s_silent_services_work() -> None:
    """The end of the log speaks of each that does not; "connected" may have been said long ago."""
    told = Told("a", "b").tell("b", LogKind.UNREACHABLE)

    told.services.assume_unheard_up(at(1))

    assert told.event() is Event.SOME_UP
    assert told.services.status(at(1))["a"].state is TunnelState.UP
