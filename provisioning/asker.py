"""On whose behalf the manager is asked."""

from collections.abc import Callable
from dataclasses import dataclass


def _nobody_waits() -> bool:
    return False


@dataclass(frozen=True)
class Asker:
    """Who asks; by default the agent itself.

    Attributes:
        user_token: of the user who asks, if any.
        waits: whether somebody still waits for the answer; then a busy manager is asked again, for a minute.
    """

    user_token: str | None = None
    waits: Callable[[], bool] = _nobody_waits
