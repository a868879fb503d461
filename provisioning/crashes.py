"""A game that dies again and again is given up; one that never got so far as to be ready is not."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from compose.container import Container
from core.clock import utc_now
from core.errors import AgentError
from core.log import get_logger
from core.servers import Server, ServerTable
from core.settings import Settings
from provisioning.budget import Budget, Deaths, Run, observe

log = get_logger("crashes")

LOG_LINES = 50
_LONGEST_LOG = 16 * 1024


@dataclass(frozen=True)
class Crash:
    """How a game was given up.

    Attributes:
        at: when, ISO 8601, UTC.
        reason: a code: died_too_often, or oom_killed.
        message: the same, as a sentence.
        log: the last lines that the game wrote.
    """

    at: str
    reason: str
    message: str
    log: tuple[str, ...]

    @classmethod
    def of(cls, server: Server) -> Self | None:
        """Return how a server's game was given up the last time; None where it never was."""
        if server.last_crash is None:
            return None
        values = json.loads(server.last_crash)
        return cls(values["at"], values["reason"], values["message"], tuple(values["log"]))

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps({"at": self.at, "reason": self.reason, "message": self.message, "log": self.log})


class Crashes:
    """Counts the deaths of games, each time one is looked at.

    Args:
        settings: tells the budget.
        servers: where the deaths are kept.
        logs: returns the last lines of a container's log.
        wall: the time in seconds since 1970: what is kept must mean something to a later worker.
    """

    def __init__(
        self,
        settings: Settings,
        servers: ServerTable,
        *,
        logs: Callable[[str, int], str],
        wall: Callable[[], float],
    ) -> None:
        self._budget = Budget(settings.restart_budget, settings.restart_window)
        self._servers = servers
        self._logs = logs
        self._wall = wall

    def follow(self, server: Server, container: Container | None, *, ready: bool) -> Server:
        """Take in one look at a server; return it as it is wanted from now on.

        Args:
            server: as it is wanted now.
            container: as just seen.
            ready: players can join now.
        """
        if container is None or not server.container_wanted or server.crashed or server.deleting:
            return server
        now = self._wall()
        run = Run(container.id, container.started_at, container.restart_count, ready, container.oom_killed)
        before = Deaths.from_json(server.deaths)
        deaths = observe(before, run, self._budget, now)
        if self._budget.is_spent(deaths.counted, now):
            return self._give_up(server, deaths)
        return self._keep(server, before, deaths)

    def _keep(self, server: Server, before: Deaths, deaths: Deaths) -> Server:
        if deaths == before:
            return server
        if len(deaths.counted) > len(before.counted):
            log.warning(
                "The game died; Docker starts it again.",
                server=server.server_id,
                deaths=len(deaths.counted),
                of=self._budget.times,
                oom_killed=deaths.oom_killed,
            )
        text = deaths.to_json()
        self._servers.update(server.server_id, deaths=text)
        return replace(server, deaths=text)

    def _give_up(self, server: Server, deaths: Deaths) -> Server:
        crash = self._crash(server, deaths)
        log.error(crash.message, server=server.server_id, reason=crash.reason)
        self._servers.update(server.server_id, crashed=True, deaths=None, last_crash=crash.to_json())
        return replace(server, crashed=True, deaths=None, last_crash=crash.to_json())

    def _crash(self, server: Server, deaths: Deaths) -> Crash:
        often = f"The game died {len(deaths.counted)} times within {self._budget.window:g} s"
        if deaths.oom_killed:
            text = f"{often}, the last time for want of memory: give it more (ramAllocation), then start it."
        else:
            text = f"{often} and is stopped; see the end of its log, mend the cause, then start it."
        reason = "oom_killed" if deaths.oom_killed else "died_too_often"
        return Crash(utc_now(), reason, text, self._last_lines(server))

    def _last_lines(self, server: Server) -> tuple[str, ...]:
        """A log that cannot be had must not keep a game alive that is to be given up."""
        try:
            return tuple(self._logs(server.server_id, LOG_LINES)[-_LONGEST_LOG:].splitlines())
        except AgentError as error:
            log.warning("The end of the game's log cannot be had.", server=server.server_id, why=error.message)
            return ()
