"""The agent's saves on disk: their names, whether they are whole, and how many stay."""

import os
import re
from pathlib import Path

import pytest

from core.errors import GameFailed
from satisfactory.saves import KEPT, LEAST_BYTES, keep_on_disk, prune, save_folder, save_name, stamp

NOON = 1769860800.0  # 2026-01-31 12:00:00 UTC


def test_a_name_has_reason_and_time() -> None:
    """In UTC, whatever the host's own time, and of characters that the game keeps."""
    assert save_name("stop", NOON) == "agent_stop_20260131T120000Z"
    assert not re.sub(r"[\w\- ]", "", save_name("restart", NOON))


def test_a_save_counts_once_it_has_a_plausible_size(tmp_path: Path) -> None:
    """A file that was only begun is none."""
    path = tmp_path / "a.sav"
    assert stamp(path) is None
    path.write_bytes(b"header")
    assert stamp(path) is None
    path.write_bytes(bytes(LEAST_BYTES))
    assert stamp(path) is not None


def test_a_save_that_is_written_anew_is_another(tmp_path: Path) -> None:
    """The same name does not make an old file the new one."""
    path = tmp_path / "a.sav"
    path.write_bytes(bytes(LEAST_BYTES))
    os.utime(path, (1, 1))
    before = stamp(path)
    path.write_bytes(bytes(LEAST_BYTES))
    assert stamp(path) != before


def test_the_folder_must_be_the_games_own(tmp_path: Path) -> None:
    """A game that makes it a link does not get other files removed."""
    data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    (data / "saved").mkdir(parents=True)
    elsewhere.mkdir()
    (data / "saved" / "server").symlink_to(elsewhere)
    with pytest.raises(GameFailed, match="is a link"):
        save_folder(data)


def test_a_folder_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    """The game makes it with its first save."""
    assert save_folder(tmp_path) == tmp_path / "saved" / "server"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Nor is a save that leads elsewhere opened."""
    (tmp_path / "a.sav").symlink_to("/etc/hostname")
    with pytest.raises(OSError, match="symbolic"):
        keep_on_disk(tmp_path / "a.sav")


def test_only_the_agents_oldest_saves_go(tmp_path: Path) -> None:
    """Five stay, by the time in their names, whatever the reason; a player's and the game's own stay all."""
    ours = [f"agent_{'stop' if n % 2 else 'restart'}_2026013{n}T120000Z.sav" for n in range(8)]
    others = ["agent_stop.sav", "agent_stop_20260131T120000Z.sav.bak", "my agent_stop_20200131T120000Z.sav", "a.sav"]
    for name in (*ours, *others):
        (tmp_path / name).touch()
    prune(tmp_path, ours[-1])
    assert {path.name for path in tmp_path.iterdir()} == {*ours[-KEPT:], *others}


def test_the_save_just_made_stays_though_the_clock_was_set_back(tmp_path: Path) -> None:
    """Its name says that it is the oldest; it is the one that matters."""
    made = "agent_stop_20260130T110000Z.sav"
    later = [f"agent_stop_2026013{n}T120000Z.sav" for n in range(KEPT)]
    for name in (made, *later):
        (tmp_path / name).touch()
    prune(tmp_path, made)
    assert {path.name for path in tmp_path.iterdir()} == {made, *later[1:]}
