"""When what is due: pure decisions."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.settings import Settings, load_settings
from orchestrator.schedule import Schedule


def settings(**values: str) -> Settings:
    """Return settings with the intervals' defaults: 60 s, 600 s, 3 failures."""
    return load_settings({"NODE_ID": "n", "HOST_AGENT_API_KEY": "k" * 16, **values})


def schedule(**values: str) -> Schedule:
    """Return a schedule that begins at 0, without jitter."""
    return Schedule(settings(**values), now=0.0, random=lambda: 0.5)


def test_registering_comes_first() -> None:
    """A heartbeat of a node that nobody knows would be forgotten."""
    due = schedule()
    assert (due.register_at, due.beat_at) == (0.0, math.inf)


def test_a_heartbeat_follows_the_first_registration() -> None:
    """The orchestrator hears at once how the node is; the next registration is ten minutes away."""
    due = schedule()
    due.registered(5.0)
    assert (due.register_at, due.beat_at) == (605.0, 5.0)


def test_heartbeats_keep_their_interval() -> None:
    """One a minute."""
    due = schedule()
    due.registered(0.0)
    due.beaten(0.0)
    assert due.beat_at == 60.0


def test_a_later_registration_does_not_move_the_heartbeats() -> None:
    """Else one that is refused each time would be sent in a tight loop."""
    due = schedule()
    due.registered(0.0)
    due.beaten(590.0)
    due.registered(600.0)
    assert (due.register_at, due.beat_at) == (1200.0, 650.0)


def test_registering_is_tried_again_with_growing_delays() -> None:
    """From a second up to a heartbeat's interval."""
    due = schedule()
    delays = []
    for _ in range(9):
        now = due.register_at
        due.registration_failed(now, permanent=False)
        delays.append(due.register_at - now)
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_delays_begin_anew_after_a_success() -> None:
    """The next outage is another one."""
    due = schedule()
    for _ in range(5):
        due.registration_failed(0.0, permanent=False)
    due.registered(0.0)
    due.registration_failed(600.0, permanent=False)
    assert due.register_at == 601.0


def test_a_refused_registration_waits_an_interval() -> None:
    """The same request at once would get the same answer."""
    due = schedule()
    due.registration_failed(0.0, permanent=True)
    assert due.register_at == 60.0


@pytest.mark.parametrize("limit", [1, 3, 5])
def test_failures_in_a_row_lead_to_a_registration(limit: int) -> None:
    """Not one fewer than MAX_HEARTBEAT_FAILURES."""
    due = schedule(MAX_HEARTBEAT_FAILURES=str(limit), REGISTER_INTERVAL="100000")
    due.registered(0.0)
    for number in range(1, limit + 1):
        assert due.register_at == 100000.0
        due.beat_failed(60.0 * number, permanent=False)
    assert due.register_at == 60.0 * limit


def test_a_success_between_failures_starts_the_count_anew() -> None:
    """Only failures in a row count."""
    due = schedule()
    due.registered(0.0)
    for now in (60.0, 120.0):
        due.beat_failed(now, permanent=False)
    due.beaten(180.0)
    for now in (240.0, 300.0):
        due.beat_failed(now, permanent=False)
    assert due.register_at == 600.0


def test_a_refused_heartbeat_leads_to_a_registration() -> None:
    """Two more of the same would be refused too."""
    due = schedule()
    due.registered(0.0)
    due.beat_failed(60.0, permanent=True)
    assert (due.register_at, due.beat_at) == (60.0, 120.0)


def test_a_fleet_comes_apart() -> None:
    """Two agents that began together do not go on together."""
    early = Schedule(settings(), 0.0, random=lambda: 0.0)
    late = Schedule(settings(), 0.0, random=lambda: 0.999)
    for due in (early, late):
        due.registered(0.0)
        due.beaten(0.0)
    assert early.beat_at == 54.0
    assert 65.0 < late.beat_at < 66.0


@given(st.lists(st.sampled_from(["well", "fails", "refused"]), max_size=60))
def test_no_answers_make_a_tight_loop_or_silence(answers: list[str]) -> None:
    """Whatever is answered, no three calls of a kind come within half a second, and none is later than its interval."""
    due, now = schedule(), 0.0
    calls: dict[str, list[float]] = {"register": [], "beat": []}
    for answer in answers:
        kind = "register" if due.register_at <= due.beat_at else "beat"
        now = max(now, min(due.register_at, due.beat_at))
        calls[kind].append(now)
        _tell(due, kind, answer, now)
    for times, limit in ((calls["register"], 600.0), (calls["beat"], 60.0)):
        assert all(later - first >= 0.5 for first, later in zip(times, times[2:], strict=False))
        assert all(later - first <= limit for first, later in pairwise(times))


def _tell(due: Schedule, kind: str, answer: str, now: float) -> None:
    match kind, answer:
        case "register", "well":
            due.registered(now)
        case "register", _:
            due.registration_failed(now, permanent=answer == "refused")
        case _, "well":
            due.beaten(now)
        case _:
            due.beat_failed(now, permanent=answer == "refused")
