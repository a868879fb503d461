"""The wall clock in the one form that we store and send."""

from datetime import UTC, datetime


def utc_now() -> str:
    """Return the time now as ISO 8601, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
