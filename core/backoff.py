"""Delays that grow, kept as data: who waits decides how."""

import random as _random
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Backoff:
    """Exponential backoff with jitter.

    Attributes:
        first: the first delay, in seconds.
        factor: what each delay is multiplied by to give the next.
        limit: the longest delay, in seconds, before jitter.
        jitter: the share of a delay by which it may differ, up or down.
        random: a number in [0, 1), passed in by tests.
    """

    first: float = 0.5
    factor: float = 2.0
    limit: float = 30.0
    jitter: float = 0.1
    random: Callable[[], float] = _random.random
    _failures: int = field(default=0, init=False)

    def next_delay(self) -> float:
        """Count one more failure and return how many seconds to wait after it."""
        # The exponent is bounded because a float power overflows after some 1,000 failures.
        delay = min(self.first * self.factor ** min(self._failures, 64), self.limit)
        self._failures += 1
        return delay * (1 + self.jitter * (2 * self.random() - 1))

    def reset(self) -> None:
        """Begin again with the first delay."""
        self._failures = 0
