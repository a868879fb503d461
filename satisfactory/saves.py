"""The saves of a game on disk, as far as the agent makes them: their names, whether they are whole, how many stay."""

import os
import re
from datetime import UTC, datetime
from pathlib import Path

from core.errors import GameFailed
from core.files import sync_directory

# The header alone has some hundred bytes; the save of an empty world has a hundred thousand.
LEAST_BYTES = 4096
KEPT = 5
_OURS = re.compile(r"agent_[a-z]+_(\d{8}T\d{6}Z)\.sav")

Stamp = tuple[int, int] | None


def save_name(reason: str, seconds: float) -> str:
    """Return the name of a save that is made now, of characters that the game takes.

    Args:
        reason: why it is made, in small letters.
        seconds: the time, since 1970.
    """
    return f"agent_{reason}_{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%SZ}"


def save_folder(data: Path) -> Path:
    """Return where a game has its saves, below what it sees as `/config`.

    Raises:
        GameFailed: the folder is a link to another one; the game may write, so it could make it lead anywhere.
    """
    folder = data / "saved" / "server"
    if folder.resolve() != data.resolve() / "saved" / "server":
        raise GameFailed("save_folder_refused", f"{folder} is a link; nothing is done with what it leads to.")
    return folder


def stamp(path: Path) -> Stamp:
    """Return what changes when the file is written anew; None while it is not there, or not of a plausible size."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    return (found.st_ino, found.st_mtime_ns) if found.st_size >= LEAST_BYTES else None


def keep_on_disk(path: Path) -> None:
    """Make a save outlive a power cut.

    Raises:
        OSError: the disk failed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_directory(path.parent)


def prune(folder: Path, made: str) -> None:
    """Remove all but the newest saves that the agent made; a player's and the game's own are not touched.

    Args:
        folder: where they are.
        made: the file of the one just made: the newest, whatever a clock that was set back says of it.
    """
    ours = {path: found[1] for path in folder.iterdir() if (found := _OURS.fullmatch(path.name))}
    for path in sorted(ours, key=lambda path: (path.name == made, ours[path]), reverse=True)[KEPT:]:
        path.unlink(missing_ok=True)
