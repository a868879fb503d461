"""Whether a game answers: asked of the game itself, and remembered for a moment."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from core.errors import GameFailed
from satisfactory.query import GameState, poll

# Inside a host an answer takes under a millisecond; a game that loads may take its time.
_TIMEOUT = 0.3
_FRESH_UNANSWERED = 1.0
_FRESH_ANSWERED = 10.0
# An address that comes and goes is not worth a new tunnel before it has stayed.
_SETTLED = 2.0


@dataclass(frozen=True)
class GameSeen:
    """What a game said last.

    Attributes:
        answers: its port answers.
        ready: players can reach it: it answers and does not load.
        settled: it has answered at the same address for 2 s.
        played: a world is played in it.
    """

    answers: bool
    ready: bool
    settled: bool = False
    played: bool = False


SILENT = GameSeen(answers=False, ready=False)


class Games:
    """Polls games by the lightweight query, each at most once a second, or each 10 s once it is ready."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._last: dict[str, tuple[str, float, GameSeen]] = {}
        self._played: dict[str, str] = {}
        self._first: dict[str, tuple[str, float]] = {}

    def look(self, server_id: str, started_at: str, address: str | None, port: int) -> GameSeen:
        """Return what the game in the container that was started at `started_at` says."""
        if address is None:
            return SILENT
        seen = self._fresh(server_id, f"{started_at} {address}", address, port)
        return replace(seen, settled=seen.answers and self._has_settled(server_id, address))

    def _fresh(self, server_id: str, run: str, address: str, port: int) -> GameSeen:
        known, asked, seen = self._last.get(server_id, ("", 0.0, SILENT))
        age = self.clock() - asked
        if run == known and age < (_FRESH_ANSWERED if seen.ready else _FRESH_UNANSWERED):
            return seen
        answer = _ask(address, port)
        self._last[server_id] = (run, self.clock(), answer)
        if answer.played:
            self._played[server_id] = run
        return answer

    def was_played(self, server_id: str, started_at: str) -> bool:
        """Whether the game was seen to be played at some time since its container's start."""
        return self._played.get(server_id, "").startswith(started_at)

    def _has_settled(self, server_id: str, address: str) -> bool:
        known, since = self._first.get(server_id, ("", 0.0))
        if known != address:
            self._first[server_id] = (address, self.clock())
            return False
        return self.clock() - since >= _SETTLED

    def forget(self, server_id: str) -> None:
        """Drop what is known of a server that is gone."""
        self._last.pop(server_id, None)
        self._played.pop(server_id, None)
        self._first.pop(server_id, None)


def _ask(address: str, port: int) -> GameSeen:
    try:
        state = poll(address, port, timeout=_TIMEOUT)
    except GameFailed:
        return SILENT  # a game that loads, or none yet: not an error, and shown as the phase `starting`
    return GameSeen(answers=True, ready=state.state is not GameState.LOADING, played=state.state is GameState.PLAYING)
