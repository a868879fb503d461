"""Which deaths of a game count, and when there were too many."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.budget import Budget, Deaths, Run, observe

BUDGET = Budget(times=3, window=600.0)
NOW = 1_000_000.0
FIRST = Run("c1", "10:00", 0, ready=False, oom_killed=False)
READY = replace(FIRST, ready=True)


def after(*looks: Run, deaths: Deaths | None = None, every: float = 1.0) -> Deaths:
    """Return what is remembered after looks that follow one another by `every` seconds."""
    known = deaths or Deaths()
    for number, run in enumerate(looks):
        known = observe(known, run, BUDGET, NOW + number * every)
    return known


def died(run: Run, times: int = 1, **changes: object) -> Run:
    """Return the look at a game that Docker has restarted since."""
    return replace(run, started_at=f"{run.started_at}+", restarts=run.restarts + times, ready=False, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("looks", "counted", "unready"),
    [
        pytest.param([FIRST], 0, 0, id="it starts"),
        pytest.param([READY], 0, 0, id="it is ready"),
        pytest.param([READY, FIRST, died(FIRST)], 1, 0, id="it loads another save, and dies"),
        pytest.param([READY, died(FIRST)], 1, 0, id="it dies after it was ready"),
        pytest.param([READY, died(FIRST), died(FIRST)], 1, 0, id="seen twice, it died once"),
        pytest.param([FIRST, died(FIRST)], 0, 1, id="it dies before it was ready"),
        pytest.param([FIRST, died(FIRST), died(died(FIRST))], 0, 2, id="twice"),
        pytest.param([READY, died(FIRST), died(died(FIRST))], 1, 1, id="after, then before it was ready"),
        pytest.param([READY, died(FIRST, 4)], 1, 3, id="while nobody looked only the first is known to count"),
        pytest.param([FIRST, died(FIRST), replace(died(FIRST), ready=True)], 0, 0, id="in the end it is ready"),
        pytest.param(
            [READY, replace(READY, started_at="11:00", ready=False), died(FIRST)], 0, 1, id="restarted by hand"
        ),
        pytest.param([READY, replace(FIRST, container="c2")], 0, 0, id="made anew"),
        pytest.param(
            [died(FIRST, 7), replace(FIRST, started_at="11:00")], 0, 0, id="started by hand, Docker counts anew"
        ),
    ],
)
def test_what_counts(looks: list[Run], counted: int, unready: int) -> None:
    """A death counts where the run that ended in it had been ready; others are tried for ever."""
    known = after(*looks)
    assert (len(known.counted), known.unready) == (counted, unready)


def test_too_many_deaths_spend_the_budget() -> None:
    """The third of three does; exit code 0 counts as any other, since Docker's own count is what is read."""
    known, run = after(READY), READY
    for number in range(3):
        assert not BUDGET.is_spent(known.counted, NOW + 10)
        run = died(run)
        known = observe(known, run, BUDGET, NOW + number)
        run = replace(run, ready=True)
        known = observe(known, run, BUDGET, NOW + number)
    assert BUDGET.is_spent(known.counted, NOW + 10)


def test_deaths_are_forgiven_with_time() -> None:
    """Outside the window they do not count, and are not kept."""
    known = after(READY, died(READY))
    assert observe(known, replace(died(READY), ready=True), BUDGET, NOW + 700).counted == ()


def test_a_clock_that_is_set_back_gives_nobody_up() -> None:
    """A death that lies ahead is one before the clock was set back: it does not count."""
    assert not BUDGET.is_spent([NOW + 3600] * 5, NOW)


def test_a_death_for_memory_is_remembered_until_the_next() -> None:
    """Docker tells it at the moment of the death."""
    known = after(READY, died(READY, oom_killed=True), replace(died(READY), ready=True))
    assert known.oom_killed
    assert not observe(known, died(died(READY)), BUDGET, NOW).oom_killed


def test_it_outlives_the_agent() -> None:
    """What was written is read as it was; nothing written is nothing known."""
    known = after(READY, died(READY, oom_killed=True))
    assert Deaths.from_json(known.to_json()) == known
    assert Deaths.from_json(None) == Deaths()


runs = st.builds(
    Run,
    container=st.sampled_from(["c1", "c2"]),
    started_at=st.sampled_from(["10:00", "11:00", "12:00"]),
    restarts=st.integers(0, 6),
    ready=st.booleans(),
    oom_killed=st.booleans(),
)


@given(st.lists(st.tuples(runs, st.floats(0, 1000)), max_size=30))
def test_no_more_is_counted_than_died_and_nothing_twice(looks: list[tuple[Run, float]]) -> None:
    """Whatever is seen, in whatever order: a look counts one death at most, and one that shows none counts none."""
    known, now = Deaths(), NOW
    for run, pause in looks:
        now += pause
        before = BUDGET.recent(known.counted, now)
        known = observe(known, run, BUDGET, now)
        assert known.counted in {before, (*before, now)}
        assert observe(known, run, BUDGET, now) == replace(known, was_ready=known.was_ready or run.ready)
        assert known.unready >= 0


@given(st.lists(runs.map(lambda run: replace(run, ready=False)), max_size=30))
def test_a_game_that_was_never_ready_is_never_given_up(looks: list[Run]) -> None:
    """No Steam after a power cut: it is tried for ever."""
    assert after(*looks).counted == ()
