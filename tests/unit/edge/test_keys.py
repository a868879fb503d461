"""The noise key pair: made once, kept private, never replaced in silence."""

import stat
from pathlib import Path

import pytest

from core.errors import StoreFailed
from edge.keys import load_or_make_keys
from tests.unit.edge.conftest import KEYS


def test_made_once_and_kept(tmp_path: Path, environ: dict[str, str]) -> None:
    """The second call reads the file and needs no rathole."""
    path = tmp_path / "data" / "keys.json"
    assert load_or_make_keys(path, Path(environ["RATHOLE_BINARY"])) == KEYS
    assert load_or_make_keys(path, Path("/no/rathole")) == KEYS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("content", ["", "{}", '{"private": "x", "public": "y"}'])
def test_a_damaged_file_is_not_replaced(tmp_path: Path, environ: dict[str, str], content: str) -> None:
    """New keys would lock out every client, so a person decides."""
    path = tmp_path / "keys.json"
    path.write_text(content)
    with pytest.raises(StoreFailed, match="holds no usable key pair; restore it, or remove it"):
        load_or_make_keys(path, Path(environ["RATHOLE_BINARY"]))
    assert path.read_text() == content


def test_a_rathole_without_noise_is_named(tmp_path: Path) -> None:
    """A program that prints no key pair is said to be the wrong one, and leaves no file."""
    with pytest.raises(StoreFailed, match="gave no key pair"):
        load_or_make_keys(tmp_path / "keys.json", Path("/bin/echo"))
    assert not (tmp_path / "keys.json").exists()


def test_the_private_key_is_not_shown() -> None:
    """The pair's own text holds the public key only."""
    assert KEYS.private not in repr(KEYS)
