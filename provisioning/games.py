"""Whether a game answers: asked of the game itself, and remembered for a moment."""

from collections.abc import Callable
from dataclasses import dataclass

from core.errors import GameFailed
from satisfactory.query import GameState, poll

# Inside a host an answer takes under a millisecond; a game that loads may take its time.
_TIMEOUT = 0.3
_FRESH_UNANSWERED = 1.0
_FRESH_ANSWERED = 10.0


@dataclass(frozen=True)
class GameSeen:
    """What a game said last.

    Attributes:
        answers: its port answers.
        ready: players can reach it: it answers and does not load.
    """

    answers: bool
    ready: bool


SILENT = GameSeen(answers=False, ready=False)


class Games:
    """Polls games by the lightweight query, each at most once a second, or each 10 s once it is ready."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[str, tuple[str, float, GameSeen]] = {}

    def look(self, server_id: str, started_at: str, address: str | None, port: int) -> GameSeen:
        """Return what the game in the container that was started at `started_at` says."""
        if address is None:
            return SILENT
        run, asked, seen = self._last.get(server_id, ("", 0.0, SILENT))
        age = self._clock() - asked
        if run == started_at and age < (_FRESH_ANSWERED if seen.ready else _FRESH_UNANSWERED):
            return seen
        answer = _ask(address, port)
        self._last[server_id] = (started_at, self._clock(), answer)
        return answer

    def forget(self, server_id: str) -> None:
        """Drop what is known of a server that is gone."""
        self._last.pop(server_id, None)


def _ask(address: str, port: int) -> GameSeen:
    try:
        state = poll(address, port, timeout=_TIMEOUT)
    except GameFailed:
        return SILENT  # a game that loads, or none yet: not an error, and shown as the phase `starting`
    return GameSeen(answers=True, ready=state.state is not GameState.LOADING)
