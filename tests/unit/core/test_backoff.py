"""Delays that grow."""

from hypothesis import given
from hypothesis import strategies as st

from core.backoff import Backoff


def delays(backoff: Backoff, count: int) -> list[float]:
    """Return the first few delays."""
    return [backoff.next_delay() for _ in range(count)]


def test_delays_double_up_to_their_limit() -> None:
    """Half a second, twice as much each time, half a minute at most."""
    assert delays(Backoff(random=lambda: 0.5), 9) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_reset_begins_anew() -> None:
    """After a success the next failure is the first again."""
    backoff = Backoff(random=lambda: 0.5)
    delays(backoff, 5)
    backoff.reset()
    assert backoff.next_delay() == 0.5


def test_years_of_failures_are_no_overflow() -> None:
    """The thousandth delay is the limit, not an error."""
    assert delays(Backoff(random=lambda: 0.5), 3000)[-1] == 30.0


@given(st.floats(0, 1, exclude_max=True))
def test_jitter_stays_in_its_share(chance: float) -> None:
    """A tenth up or down, around the limit too."""
    for delay, plain in zip(delays(Backoff(random=lambda: chance), 8), [0.5, 1, 2, 4, 8, 16, 30, 30], strict=True):
        assert 0.9 * plain <= delay <= 1.1 * plain


def test_two_backoffs_differ() -> None:
    """Without a number passed in, chance decides: clients that failed together do not come back together."""
    assert delays(Backoff(), 5) != delays(Backoff(), 5)
