"""Whether players' packets come through a tunnel: a client that says it is connected is no proof of that.

A tunnel through which the game is silent, though it answers on this host, is begun anew; where that does not
help three times, it is said, and left to a person.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

from core.errors import GameFailed
from provisioning.budget import Budget
from provisioning.together import run_together
from satisfactory.query import poll

BOUNCES = Budget(times=3, window=600.0)
_TRIES = 3  # within the patience, since one lost datagram means nothing
_TIMEOUT = 1.0
_AT_ONCE = 16


class Verdict(StrEnum):
    """What is to be thought of a path."""

    FINE = "fine"
    BOUNCE = "bounce"  # begin the tunnel anew
    FAILED = "failed"  # that has not helped


@dataclass(frozen=True)
class Path:
    """What is known of the way through one tunnel; times are in seconds on a clock that never goes back.

    Attributes:
        silent_since: since when nothing comes through, or the last bounce; None while it does.
        bounces: when the tunnel was begun anew for that.
        proven: something came through once. Until then it may be us who cannot reach the address, and no
            player, so what was spent in bounces is not given back.
    """

    silent_since: float | None = None
    bounces: tuple[float, ...] = ()
    proven: bool = False


def heard(path: Path, now: float) -> Path:
    """Return the path after an answer."""
    return Path(bounces=BOUNCES.recent(path.bounces, now), proven=True)


def unheard(path: Path, now: float) -> Path:
    """Return the path after a question without an answer."""
    return path if path.silent_since is not None else replace(path, silent_since=now)


def bounced(path: Path, now: float) -> Path:
    """Return the path of a tunnel that was begun anew: it has its full time again."""
    return replace(path, silent_since=now, bounces=(*path.bounces, now))


def judge(path: Path, patience: float, now: float) -> Verdict:
    """Return what is to be thought of a path now; `patience` is how long it may be silent, in seconds."""
    if path.silent_since is None or now - path.silent_since < patience:
        return Verdict.FINE
    spent = BOUNCES.is_spent(path.bounces, now) if path.proven else len(path.bounces) >= BOUNCES.times
    return Verdict.FAILED if spent else Verdict.BOUNCE


@dataclass(frozen=True)
class Target:
    """Where a game must answer for its players.

    Attributes:
        hosts: the VPS under each name that we know; one that answers will do.
        port: the public game port.
    """

    hosts: tuple[str, ...]
    port: int


class Watchdog:
    """Asks the games through their tunnels; a loop drives it, so that a slow name holds up no keeper.

    Args:
        patience: how long a tunnel may be silent, in seconds.
        clock: seconds that never go back.
        changed: told the id of a server whose path is to be thought of otherwise.
        ask: whether a game answers at this host and port.
        names_resolve: whether Docker answers for the games' names. Where it does not, each question is a new player for
            whom rathole 0.5.0 looks a name up, and all others wait for that (19.7 s, measured).
    """

    def __init__(
        self,
        patience: float,
        *,
        clock: Callable[[], float],
        changed: Callable[[str], None],
        ask: Callable[[str, int], bool] | None = None,
        names_resolve: Callable[[], bool] = lambda: True,
    ) -> None:
        self._patience = patience
        self._clock = clock
        self._changed = changed
        self._ask = ask or _answers
        self._names_resolve = names_resolve
        self._targets: dict[str, Target] = {}
        self._paths: dict[str, Path] = {}
        self._verdicts: dict[str, Verdict] = {}

    def watch(self, server_id: str, target: Target | None) -> Verdict:
        """Have a server's path asked for from now on, and say what is to be thought of it.

        Args:
            server_id: whose.
            target: None while nothing can be expected to come through: the game or the tunnel is not up.
        """
        path = self._paths.get(server_id, Path())
        if target is None:
            self._targets.pop(server_id, None)
            self._paths[server_id] = replace(path, silent_since=None)
            return Verdict.FINE
        self._targets[server_id] = target
        return judge(path, self._patience, self._clock())

    def bounced(self, server_id: str) -> None:
        """A server's tunnel was begun anew on our word."""
        self._paths[server_id] = bounced(self._paths.get(server_id, Path()), self._clock())
        self._verdicts.pop(server_id, None)

    def forget(self, server_id: str) -> None:
        """Drop what is known of a server that is gone."""
        for known in (self._targets, self._paths, self._verdicts):
            known.pop(server_id, None)

    def step(self) -> float:
        """Ask every game once, if that harms nobody; return the seconds until the next time."""
        targets = list(self._targets.items())
        if targets and self._names_resolve():
            shares = [targets[first::_AT_ONCE] for first in range(min(len(targets), _AT_ONCE))]
            run_together([partial(self._look_in_turn, share) for share in shares])
        return self._patience / _TRIES

    def _look_in_turn(self, targets: list[tuple[str, Target]]) -> None:
        for server_id, target in targets:
            self._look(server_id, target)

    def _look(self, server_id: str, target: Target) -> None:
        answers = any(self._ask(host, target.port) for host in target.hosts)
        before, now = self._paths.get(server_id, Path()), self._clock()
        if self._targets.get(server_id) != target:
            return  # it went while we asked
        self._paths[server_id] = heard(before, now) if answers else unheard(before, now)
        verdict = judge(self._paths[server_id], self._patience, now)
        if verdict is not self._verdicts.get(server_id, Verdict.FINE):
            self._verdicts[server_id] = verdict
            self._changed(server_id)


def _answers(host: str, port: int) -> bool:
    try:
        poll(host, port, timeout=_TIMEOUT)
    except GameFailed:
        return False
    return True
