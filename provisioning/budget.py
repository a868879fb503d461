"""Budgets over time, pure: how often a thing may happen within so many seconds, and a game's deaths."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True)
class Budget:
    """So many times within so many seconds."""

    times: int
    window: float

    def recent(self, moments: Iterable[float], now: float) -> tuple[float, ...]:
        """Return the moments that still count; one that lies ahead, since the clock was set back, does not."""
        return tuple(moment for moment in moments if 0 <= now - moment < self.window)

    def is_spent(self, moments: Iterable[float], now: float) -> bool:
        """Whether it has happened too often."""
        return len(self.recent(moments, now)) >= self.times


@dataclass(frozen=True)
class Run:
    """One look at a game's container.

    Attributes:
        container: its id; one that is made anew has no deaths.
        started_at: when it was last started, Docker's text.
        restarts: how often Docker has restarted it. It counts at the moment of a death, whatever the exit code,
            and begins at 0 with each start that is not Docker's own (tried with engine 20.10).
        ready: players can join now.
        oom_killed: the kernel ended it, or something in it, for its memory.
    """

    container: str
    started_at: str
    restarts: int
    ready: bool
    oom_killed: bool


@dataclass(frozen=True)
class Deaths:
    """What is remembered of a game's deaths from one look to the next, over the agent's own end too.

    Attributes:
        container: the container of the last look.
        started_at: when its run of that look began.
        restarts: how often Docker had restarted it then.
        was_ready: that run had been ready.
        counted: when runs ended that had been ready, in seconds since 1970.
        unready: how many runs in a row ended before they were ready.
        oom_killed: the last death was for memory.
    """

    container: str = ""
    started_at: str = ""
    restarts: int = 0
    was_ready: bool = False
    counted: tuple[float, ...] = ()
    unready: int = 0
    oom_killed: bool = False

    @classmethod
    def from_json(cls, text: str | None) -> Self:
        """Return what was written; nothing where there is nothing."""
        values = json.loads(text) if text else {}
        return cls(**values | {"counted": tuple(values.get("counted", ()))})

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self))


def observe(deaths: Deaths, run: Run, budget: Budget, now: float) -> Deaths:
    """Return what is remembered after one more look.

    Of several deaths between two looks only the first is known to be that of a run which had been ready: a game
    that lost Steam while nobody looked must not be given up for it.
    """
    goes_on = run.container == deaths.container and run.restarts >= deaths.restarts
    before = deaths if goes_on else Deaths(counted=deaths.counted)
    died = run.restarts - before.restarts
    counts = died > 0 and before.was_ready
    was_ready = run.ready or (before.was_ready and not died and run.started_at == before.started_at)
    return Deaths(
        container=run.container,
        started_at=run.started_at,
        restarts=run.restarts,
        was_ready=was_ready,
        counted=budget.recent(before.counted, now) + ((now,) if counts else ()),
        unready=0 if was_ready else before.unready + died - counts,
        oom_killed=run.oom_killed if died else before.oom_killed,
    )
