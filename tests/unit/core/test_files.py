"""Files: whole or not there, private, and a full disk in words."""

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import StoreFailed
from core.files import make_private_directory, remove_tree, sync_directory, write_atomic
from tests.waiting import wait_until


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return [path.name for path in folder.iterdir()]


def mode_of(path: Path) -> int:
    """Return the permissions."""
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("data", "content"), [("grün", "grün".encode()), (b"\x00\xff", b"\x00\xff"), ("", b"")])
def test_what_is_written_is_there(tmp_path: Path, data: str | bytes, content: bytes) -> None:
    """Text as UTF-8, bytes as they are, nothing beside."""
    write_atomic(tmp_path / "f", data)
    assert (tmp_path / "f").read_bytes() == content
    assert names(tmp_path) == ["f"]


def test_a_file_is_private_from_the_start(tmp_path: Path) -> None:
    """0600 unless told otherwise, even where a more open one was there."""
    path = tmp_path / "f"
    path.write_text("old")
    path.chmod(0o644)
    write_atomic(path, "new")
    assert mode_of(path) == 0o600
    write_atomic(path, "new", mode=0o644)
    assert mode_of(path) == 0o644


def test_a_leftover_of_a_crash_is_in_nobodys_way(tmp_path: Path) -> None:
    """A temporary file that a killed agent left, readable by all, is neither used nor kept."""
    leftover = tmp_path / ".f.new"
    leftover.write_text("half")
    leftover.chmod(0o666)
    write_atomic(tmp_path / "f", "whole")
    assert mode_of(tmp_path / "f") == 0o600
    assert not leftover.exists()


def test_a_symbolic_link_is_replaced_not_followed(tmp_path: Path) -> None:
    """A link put in place of our file does not make us write elsewhere."""
    (tmp_path / "elsewhere").write_text("theirs")
    (tmp_path / "f").symlink_to(tmp_path / "elsewhere")
    write_atomic(tmp_path / "f", "ours")
    assert (tmp_path / "elsewhere").read_text() == "theirs"
    assert not (tmp_path / "f").is_symlink()


@pytest.mark.parametrize("late", [True, False])
def test_a_full_disk_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, late: bool) -> None:
    """Whether the disk is full at once or only at fsync, the old file stays, nothing is left, and it is said."""
    path = tmp_path / "f"
    write_atomic(path, "old")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync" if late else "open", full)
    with pytest.raises(StoreFailed, match=r"^Cannot write .*/f: No space left on device\.$"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["f"]


def test_a_file_that_grows_too_large_leaves_the_old_one(tmp_path: Path) -> None:
    """A real limit of the kernel, met in the middle of a write."""
    write_atomic(tmp_path / "f", "old")
    code = f"""
import resource, signal
from pathlib import Path
from core.errors import StoreFailed
from core.files import write_atomic
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_atomic(Path({str(tmp_path)!r}) / "f", b"x" * 100_000)
except StoreFailed as error:
    print(error.message)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert result.stdout == f"Cannot write {tmp_path}/f: File too large.\n"
    assert (tmp_path / "f").read_text() == "old"
    assert names(tmp_path) == ["f"]


@pytest.mark.parametrize("place", ["missing/f", "file/f", "folder"])
def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, place: str) -> None:
    """No folder, a file where a folder should be, a folder where the file should be."""
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "full").mkdir(parents=True)
    with pytest.raises(StoreFailed, match=r"^Cannot write "):
        write_atomic(tmp_path / place, "x")


def test_a_reader_never_sees_a_part(tmp_path: Path) -> None:
    """A process that is killed while it writes without a pause leaves one of its two whole contents."""
    path = tmp_path / "f"
    code = f"""
from pathlib import Path
from core.files import write_atomic
while True:
    for letter in "ab":
        write_atomic(Path({str(path)!r}), letter * 200_000)
"""
    writer = subprocess.Popen([sys.executable, "-c", code])
    try:
        wait_until(path.exists, within=20, saying="the first file is there")
        for _ in range(50):
            text = path.read_text()
            assert text in {"a" * 200_000, "b" * 200_000}
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert path.read_text() in {"a" * 200_000, "b" * 200_000}


def test_a_private_directory_is_private_all_the_way(tmp_path: Path) -> None:
    """What had to be made above it is private as well; what was there stays as it is."""
    tmp_path.chmod(0o755)
    make_private_directory(tmp_path / "a" / "b")
    make_private_directory(tmp_path / "a" / "b")
    assert [mode_of(tmp_path / name) for name in ("a", "a/b")] == [0o700, 0o700]
    assert mode_of(tmp_path) == 0o755


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """A file in its way is named."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreFailed, match=r"^Cannot make "):
            make_private_directory(path)


def test_a_tree_is_removed_once_and_again(tmp_path: Path) -> None:
    """With all that is in it; what links lead to stays; a second time is fine."""
    (tmp_path / "kept").write_text("kept")
    tree = tmp_path / "tree"
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "link").symlink_to(tmp_path / "kept")
    remove_tree(tree)
    remove_tree(tree)
    assert names(tmp_path) == ["kept"]


def test_a_tree_that_stays_is_said(tmp_path: Path) -> None:
    """A file is no tree."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreFailed, match=r"^Cannot remove "):
        remove_tree(tmp_path / "file")


def test_a_folder_can_be_synced(tmp_path: Path) -> None:
    """It leaves no descriptor open."""
    before = len(names(Path("/proc/self/fd")))
    sync_directory(tmp_path)
    assert len(names(Path("/proc/self/fd"))) == before
