"""What the deploy script says of images, with a Docker that has those that a test names."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.deploy.shell import bash, fake, with_path

PARTS = ("say", "install", "base-image", "build", "settings", "compose", "checks", "demo")
OURS = "PROJECT=p ENV_FILE=.env AGENT_CONTAINER=a BASE_IMAGE=b"


def run(folder: Path, snippet: str, images: str) -> subprocess.CompletedProcess[str]:
    """Run that where those images (patterns of a shell `case`) are."""
    fake(folder / "bin", "docker", f'case "$*" in "image inspect "*) case $3 in {images}) ;; *) exit 1 ;; esac ;; esac')
    for name in ("requirements.txt", "scripts/image/build-rathole.sh"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return bash(f"{OURS}\n{snippet}", folder, parts=PARTS, env=with_path(folder / "bin"))


@pytest.mark.parametrize(("images", "first"), [("none", True), ("satis-rathole*", False)])
def test_only_a_first_build_is_called_one(tmp_path: Path, images: str, *, first: bool) -> None:
    """Some minutes are announced where they come, and not at each run."""
    result = run(tmp_path, "build_agent_image ask", images)
    assert result.returncode == 0, result.stderr
    assert ("some minutes" in result.stdout) is first


def test_what_a_demo_leaves_is_named_with_the_way_to_remove_it(tmp_path: Path) -> None:
    """The image that rathole was compiled in is the largest; of those that are not there nothing is said."""
    said = run(tmp_path, "what_stays", "satis-host-agent*|satis-rathole*").stdout
    assert "docker image rm satis-host-agent:latest satis-rathole:0.5.0 && docker image prune" in said


def test_where_no_image_stays_none_is_named(tmp_path: Path) -> None:
    """As after `docker image rm`."""
    assert run(tmp_path, "what_stays", "none").stdout == ""
