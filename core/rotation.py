"""A log is kept within bounds while another program writes it."""

import os
import shutil
from pathlib import Path

from core.files import PRIVATE_FILE
from core.log import get_logger

_log = get_logger("rotation")


def rotated(log: Path) -> Path:
    """Return where what a log held before is kept."""
    return log.with_name(f"{log.name}.1")


def copy_aside(log: Path) -> None:
    """Keep what a log holds in its one older file, private, before the caller empties it.

    Copied and emptied, never renamed: the program that writes it holds it open, and appends, so it goes on at the
    new end. On a full disk the old lines go, so that there is room.
    """
    try:
        descriptor = os.open(rotated(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
        with log.open("rb") as source, os.fdopen(descriptor, "wb") as target:
            shutil.copyfileobj(source, target)
    except OSError as error:
        _log.warning("The old lines of a log could not be kept.", file=str(log), cause=str(error))
