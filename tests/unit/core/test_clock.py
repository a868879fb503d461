"""The wall clock's one form."""

from datetime import UTC, datetime, timedelta

from core.clock import utc_now


def test_now_is_utc_to_the_millisecond() -> None:
    """ISO 8601 with a Z, as the wire has it, and it is now."""
    text = utc_now()
    assert len(text) == len("2026-01-01T00:00:00.000Z")
    assert text.endswith("Z")
    assert abs(datetime.fromisoformat(text) - datetime.now(UTC)) < timedelta(seconds=5)


def test_texts_sort_as_times() -> None:
    """The store compares them as text."""
    assert utc_now() <= utc_now()
