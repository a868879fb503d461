"""One attempt to save a game, from the question whether it is there to a file that outlives a power cut."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from core.errors import GameFailed
from core.log import get_logger
from core.models import Saved, SaveOutcome
from satisfactory import saves
from satisfactory.admin import Admin, NoAccessError
from satisfactory.query import GameState, poll

log = get_logger("saving")

# One lost datagram is no dead game.
_POLLS = 3
_POLL_TIMEOUT = 0.5
_STATE_TIMEOUT = 5.0
_GONE_TIMEOUT = 1.0
_PAUSE = 0.5
_FILE_PAUSE = 0.05


class Presence(Enum):
    """What a game says for itself."""

    SILENT = auto()
    NOT_PLAYED = auto()
    PLAYED = auto()


@dataclass(frozen=True)
class Result:
    """What came of an attempt.

    Attributes:
        outcome: for those who asked; None where there was nothing to save.
        refused: the game answers and could not be saved, so it had better go on.
    """

    outcome: SaveOutcome | None
    refused: bool = False


@dataclass(frozen=True)
class Attempt:
    """How one game is saved.

    Attributes:
        admin: who may.
        address: of its container, None where it has none.
        port: the game port.
        data: its `/config`, on the host.
        name: of the save.
        was_played: it was, at some time since its start.
        deadline: for all of it, on the clock.
        clock: seconds that never go back.
    """

    admin: Admin
    address: str | None
    port: int
    data: Path
    name: str
    was_played: bool
    deadline: float
    clock: Callable[[], float]
    _pause: threading.Event = field(default_factory=threading.Event)

    def run(self) -> Result:
        """Save the game, or say why not. While it loads, it is waited for."""
        began = self.clock()
        while (presence := self._presence()) is Presence.PLAYED:
            try:
                self._save()
            except NoAccessError as error:
                return Result(self._outcome(Saved.IMPOSSIBLE, began, error.message))
            except GameFailed as error:
                if error.code != "game_unreachable" or self.clock() + _PAUSE >= self.deadline:
                    return Result(self._outcome(Saved.FALSE, began, error.message), refused=True)
                self._pause.wait(_PAUSE)
            else:
                return Result(self._outcome(Saved.TRUE, began))
        lost = presence is Presence.SILENT and self.was_played
        return Result(self._outcome(Saved.FALSE, began, "The game does not answer at all.") if lost else None)

    def _outcome(self, saved: Saved, began: float, message: str = "") -> SaveOutcome:
        file = f"{self.name}.sav" if saved is Saved.TRUE else None
        return SaveOutcome(saved, file, round(self.clock() - began, 3), message)

    def _presence(self) -> Presence:
        state = self._state()
        if state is None:
            return self._presence_inside()
        played = state is GameState.PLAYING or (state is GameState.LOADING and self.was_played)
        return Presence.PLAYED if played else Presence.NOT_PLAYED

    def _state(self) -> GameState | None:
        """Return what the query says; None, too, where a container whose network is gone has no address."""
        for address in [self.address] * _POLLS:
            # Silence is no error here: the game is then asked from inside.
            with contextlib.suppress(GameFailed):
                return poll(address, self.port, timeout=_POLL_TIMEOUT).state if address else None
        return None

    def _presence_inside(self) -> Presence:
        """A container whose network is gone is still reached through the engine."""
        try:
            running = self.admin.state(_STATE_TIMEOUT).get("isGameRunning")
        except GameFailed as error:
            away = error.code in {"game_unreachable", "game_silent"}
            return Presence.SILENT if away else Presence.PLAYED
        return Presence.PLAYED if running else Presence.NOT_PLAYED

    def _save(self) -> None:
        folder = saves.save_folder(self.data)
        path = folder / f"{self.name}.sav"
        before = saves.stamp(path)
        self.admin.save_game(self.name, max(self.deadline - self.clock(), 1.0))
        self._await_file(path, before)
        try:
            saves.keep_on_disk(path)
        except OSError as error:
            raise GameFailed("save_not_kept", f"{path} cannot be brought to disk: {error.strerror}.") from error
        self._prune(path)

    def _await_file(self, path: Path, before: saves.Stamp) -> None:
        while saves.stamp(path) in {None, before}:
            if self.clock() >= self.deadline:
                raise GameFailed(
                    "save_missing", f"The game says that it saved, but there is no {path.name} of a plausible size."
                )
            if self._is_gone():
                raise GameFailed("game_unreachable", "The game ended before its save was there.")
            self._pause.wait(_FILE_PAUSE)

    def _is_gone(self) -> bool:
        """Whether it ended meanwhile, asked in short: one that is only slow to answer may have written its save."""
        with contextlib.suppress(GameFailed):
            if self.address:
                poll(self.address, self.port, timeout=_POLL_TIMEOUT)
                return False
        try:
            self.admin.state(_GONE_TIMEOUT)
        except GameFailed as error:
            return error.code == "game_unreachable"
        return False

    def _prune(self, made: Path) -> None:
        try:
            saves.prune(made.parent, made.name)
        except OSError as error:
            log.warning("Old saves of the agent cannot be removed.", folder=str(made.parent), why=error.strerror)
