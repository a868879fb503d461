"""When to register and when to send a heartbeat: the decisions, without a network and without a clock."""

import math
import random as _random
from collections.abc import Callable

from core.backoff import Backoff
from core.settings import Settings

# Agents that were switched on together, as after a power cut, shall not go on calling together.
_JITTER = 0.1


class Schedule:
    """Knows what is due when; it is told what came of it. All times are seconds of the caller's clock.

    Args:
        settings: the intervals.
        now: the first registration is due then.
        random: a number in [0, 1).

    Attributes:
        register_at: when to register.
        beat_at: when to send a heartbeat; never before the first registration.
    """

    def __init__(self, settings: Settings, now: float, random: Callable[[], float] = _random.random) -> None:
        self.register_at = now
        self.beat_at = math.inf
        self._interval = settings.heartbeat_interval
        self._register_interval = settings.register_interval
        self._max_failures = settings.max_heartbeat_failures
        self._failures = 0
        self._random = random
        self._backoff = Backoff(first=min(1.0, self._interval), limit=self._interval, jitter=_JITTER, random=random)

    def registered(self, now: float) -> None:
        """Registering went well."""
        self._backoff.reset()
        self._failures = 0
        # An orchestrator that lost its database takes heartbeats of a node that it does not know, and forgets them.
        self.register_at = now + self._jittered(self._register_interval)
        self.beat_at = now if self.beat_at == math.inf else self.beat_at

    def registration_failed(self, now: float, *, permanent: bool) -> None:
        """Registering did not go well; a refusal is not repeated before a whole interval has passed."""
        delay = self._jittered(self._interval) if permanent else self._backoff.next_delay()
        self.register_at = now + delay

    def beaten(self, now: float) -> None:
        """A heartbeat went well."""
        self._failures = 0
        self.beat_at = now + self._jittered(self._interval)

    def beat_failed(self, now: float, *, permanent: bool) -> None:
        """A heartbeat did not go well; after several in a row, or a refusal, only registering can help."""
        self._failures += 1
        self.beat_at = now + self._jittered(self._interval)
        if permanent or self._failures == self._max_failures:
            self.register_at = now

    def _jittered(self, seconds: float) -> float:
        return seconds * (1 + _JITTER * (2 * self._random() - 1))
