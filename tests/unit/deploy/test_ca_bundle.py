"""How the host's CA bundle reaches the builder."""

import subprocess
from pathlib import Path

from tests.unit.deploy.shell import bash

PARTS = ("say", "install", "base-image", "build")
COPY = 'CA_BUNDLES=("$PWD/first" "$PWD/second"); copy_ca_bundle'


def copy(folder: Path) -> subprocess.CompletedProcess[str]:
    """Copy the bundle as the deploy script does, on a host whose bundle may be at either of two places."""
    result = bash(COPY, folder, parts=PARTS)
    assert result.returncode == 0, result.stderr
    return result


def copied(folder: Path) -> Path:
    """Where the builder looks for it."""
    return folder / "build" / "ca-certificates.crt"


def test_the_first_bundle_that_is_there_is_copied(tmp_path: Path) -> None:
    """The distributions keep it at different places."""
    (tmp_path / "second").write_text("another distribution's")
    copy(tmp_path)
    assert copied(tmp_path).read_text() == "another distribution's"
    (tmp_path / "first").write_text("Debian's")
    copy(tmp_path)
    assert copied(tmp_path).read_text() == "Debian's"


def test_a_link_is_followed(tmp_path: Path) -> None:
    """A link's target is outside of what the builder is given."""
    (tmp_path / "elsewhere").write_text("certificates")
    (tmp_path / "first").symlink_to(tmp_path / "elsewhere")
    copy(tmp_path)
    assert not copied(tmp_path).is_symlink()
    assert copied(tmp_path).read_text() == "certificates"


def test_one_that_has_not_changed_is_not_written_again(tmp_path: Path) -> None:
    """Nothing is done again that is done already."""
    (tmp_path / "first").write_text("certificates")
    copy(tmp_path)
    before = copied(tmp_path).stat()
    copy(tmp_path)
    assert copied(tmp_path).stat().st_mtime_ns == before.st_mtime_ns


def test_a_host_without_a_bundle_builds_all_the_same(tmp_path: Path) -> None:
    """The image's own certificates do then."""
    copy(tmp_path)
    assert not copied(tmp_path).exists()
