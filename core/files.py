"""Files that are whole or not there, private where they hold a secret."""

import contextlib
import os
import shutil
from pathlib import Path

from core.errors import StoreFailed

PRIVATE_FILE = 0o600
PRIVATE_DIRECTORY = 0o700


def write_atomic(path: Path, data: str | bytes, *, mode: int = PRIVATE_FILE) -> None:
    """Replace the file at `path` by `data`: a reader, and a crash, see the old or the new one, never a part.

    Raises:
        StoreFailed: the disk is full, or the folder is missing or not writable.
    """
    content = data.encode() if isinstance(data, str) else data
    temporary = path.with_name(f".{path.name}.new")
    try:
        _write_synced(temporary, content, mode)
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StoreFailed("file_not_written", f"Cannot write {path}: {error.strerror}.") from error


def _write_synced(path: Path, content: bytes, mode: int) -> None:
    path.unlink(missing_ok=True)  # a leftover of a crash may have other permissions
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    # A full disk can show itself as late as fsync or close, so both are checked.
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Make a rename or creation inside `path` outlive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private_directory(path: Path) -> None:
    """Create `path` and what is missing above it, readable by its owner only.

    Raises:
        StoreFailed: the disk is full or a parent is not writable.
    """
    try:
        # `parents=True` would make those above with the default permissions.
        for folder in (*reversed(path.parents), path):
            folder.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
    except OSError as error:
        raise StoreFailed("directory_not_made", f"Cannot make {path}: {error.strerror}.") from error


def remove_tree(path: Path) -> None:
    """Remove the folder `path` with all that is in it; one that is not there is fine.

    Raises:
        StoreFailed: something in it could not be removed.
    """
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreFailed("directory_not_removed", f"Cannot remove {path}: {error.strerror}.") from error
