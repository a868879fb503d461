"""The world that is played: how long it has been, who is in it, and its saves."""

import json
import logging
import re
import threading
import time
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path

from core.errors import StoreFailed
from core.files import write_atomic

log = logging.getLogger(__name__)

SESSION = "standin"
SAVE_BYTES = 64 * 1024


class State(IntEnum):
    """What the lightweight query calls ServerState; a stand-in always has a save, so it is never Idle (1)."""

    LOADING = 2
    PLAYING = 3


class SubState(IntEnum):
    """Parts of the state that have a version of their own in the lightweight query."""

    GAME_STATE = 0
    SERVER_OPTIONS = 1
    ADVANCED_SETTINGS = 2
    SAVES = 3


class World:
    """One session, begun where its newest save ends.

    Args:
        saves: the folder of the saves, made if it is missing.
        clock: seconds on a clock that never goes back.
        save_seconds: how long a save takes; what is played meanwhile is in it.
        save_fails: no save can be made.
    """

    def __init__(
        self,
        saves: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        save_seconds: float = 0.0,
        save_fails: bool = False,
    ) -> None:
        saves.mkdir(parents=True, exist_ok=True)
        self._saves = saves
        self._clock = clock
        self._save_seconds = save_seconds
        self._save_fails = save_fails
        self._lock = threading.Lock()
        self._loaded_seconds = newest_duration(saves)
        self._began: float | None = None
        self._players = 0
        self._versions = dict.fromkeys(SubState, 1)

    def begin(self) -> None:
        """End the loading; from here on the time counts."""
        self._began = self._clock()

    @property
    def state(self) -> State:
        """Whether the game still loads or is played."""
        return State.LOADING if self._began is None else State.PLAYING

    @property
    def duration(self) -> int:
        """Whole seconds played over all starts, as far as they were saved."""
        return self._loaded_seconds + (0 if self._began is None else int(self._clock() - self._began))

    @property
    def players(self) -> int:
        """How many messaging connections are open."""
        return self._players

    @property
    def versions(self) -> dict[int, int]:
        """The versions of the sub-states, by their numbers."""
        return {int(part): version for part, version in self._versions.items()}

    def join(self) -> None:
        """Count one player more."""
        self._count(1)

    def leave(self) -> None:
        """Count one player less."""
        self._count(-1)

    def save(self, name: str) -> Path:
        """Write the world to the save `name`, from which all but letters, digits, `_`, `-` and spaces is taken.

        Raises:
            ValueError: nothing is left of the name.
            StoreFailed: the file cannot be written, or the stand-in was told to fail.
        """
        if self._save_fails:
            raise StoreFailed("save_fails", "STANDIN_SAVE_FAILS is set.")
        clean = re.sub(r"[^\w\- ]", "", name)[:100].strip()
        if not clean:
            raise ValueError(f"{name!r} is no name for a save.")
        path = self._saves / f"{clean}.sav"
        with self._lock:
            threading.Event().wait(self._save_seconds)
            write_atomic(path, self._content(), mode=0o644)
            self._bump(SubState.SAVES)
        return path

    def _count(self, change: int) -> None:
        with self._lock:
            self._players += change
            self._bump(SubState.GAME_STATE)

    def _bump(self, part: SubState) -> None:
        self._versions[part] = (self._versions[part] + 1) & 0xFFFF

    def _content(self) -> str:
        header = json.dumps({"sessionName": SESSION, "playDurationSeconds": self.duration})
        # Callers judge a save by its size too; a real one is never a hundred bytes.
        return header.ljust(SAVE_BYTES)


def newest_duration(saves: Path) -> int:
    """Return the seconds in the newest save that can be read, 0 when there is none."""
    for path in sorted(saves.glob("*.sav"), key=lambda save: save.stat().st_mtime_ns, reverse=True):
        try:
            return int(json.loads(path.read_text())["playDurationSeconds"])
        except (ValueError, KeyError, TypeError) as error:
            log.warning("Save %s is damaged, trying an older one: %r", path.name, error)
    return 0
