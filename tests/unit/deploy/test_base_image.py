"""Where the deploy script takes the base image from, with a Docker and an mmdebstrap that keep images as files."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.deploy.shell import bash, fake, with_path

PARTS = ("say", "install", "base-image")
LOCAL, PUBLIC = "satis-base:trixie", "debian:trixie-slim"
ENSURE = 'ensure_base_image install; echo "BASE_IMAGE=$BASE_IMAGE"'

# An image is a file that holds what it was made from; the third word of each call is its name.
DOCKER = """echo "docker $*" >>calls
case "$1 $2" in
  'image inspect') [ -e "images/$3" ] ;;
  'pull --quiet') [ -e registry ] && echo pulled >"images/$3" ;;
  import*) cat "$2" >"images/$3" ;;
esac"""
MMDEBSTRAP = 'echo "mmdebstrap $*" >>calls; echo "a root" >"${@: -1}"'


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host with both programs, without images, and no registry that answers."""
    for name in ("images", "tmp"):
        (tmp_path / name).mkdir()
    fake(tmp_path / "bin", "docker", DOCKER)
    fake(tmp_path / "bin", "mmdebstrap", MMDEBSTRAP)
    fake(tmp_path / "bin", "id", "echo 0")
    return tmp_path


def run(host: Path, snippet: str) -> subprocess.CompletedProcess[str]:
    """Run it on that host."""
    return bash(snippet, host, parts=PARTS, env=with_path(host / "bin", {"TMPDIR": str(host / "tmp")}))


def calls(host: Path) -> str:
    """All that was asked of the two programs, a line each."""
    return (host / "calls").read_text() if (host / "calls").exists() else ""


def images(host: Path) -> dict[str, str]:
    """The images that are there, and what they were made from."""
    return {path.name: path.read_text().strip() for path in (host / "images").iterdir()}


@pytest.mark.parametrize(("there", "taken"), [([LOCAL], LOCAL), ([PUBLIC], PUBLIC), ([LOCAL, PUBLIC], LOCAL)])
def test_what_is_there_is_taken(host: Path, there: list[str], taken: str) -> None:
    """Even where a registry answers by now: a second build shall find the layers of the first."""
    (host / "registry").touch()
    for name in there:
        (host / "images" / name).touch()
    assert run(host, ENSURE).stdout == f"BASE_IMAGE={taken}\n"
    assert "pull" not in calls(host)
    assert "mmdebstrap" not in calls(host)


def test_where_a_registry_answers_the_image_is_pulled(host: Path) -> None:
    """Debian's own, and none is made beside it."""
    (host / "registry").touch()
    assert run(host, ENSURE).stdout.endswith(f"BASE_IMAGE={PUBLIC}\n")
    assert images(host) == {PUBLIC: "pulled"}
    assert "mmdebstrap" not in calls(host)


def test_without_a_registry_it_is_made_once(host: Path) -> None:
    """Under a name of ours; the next run takes it."""
    for _ in range(2):
        result = run(host, ENSURE)
        assert result.returncode == 0, result.stderr
        assert result.stdout.endswith(f"BASE_IMAGE={LOCAL}\n")
    assert images(host) == {LOCAL: "a root"}
    assert calls(host).count("mmdebstrap") == 1
    assert [*(host / "tmp").iterdir()] == []


def test_a_base_image_that_was_given_is_left_alone(host: Path) -> None:
    """Whoever names one knows why; Docker is not even asked whether it is there."""
    assert run(host, f"BASE_IMAGE=mine:1; {ENSURE}").stdout == "BASE_IMAGE=mine:1\n"
    assert calls(host) == ""


def test_a_mmdebstrap_that_fails_leaves_no_image(host: Path) -> None:
    """Half a root would pass for a base image from then on."""
    fake(host / "bin", "mmdebstrap", 'echo "half a root" >"${@: -1}"; echo "E: no such mirror" >&2; exit 1')
    result = run(host, ENSURE)
    assert result.returncode == 1
    assert "E: no such mirror" in result.stderr
    assert "the base image could not be made; are Debian's packages reachable?" in result.stderr
    assert "BASE_IMAGE" not in result.stdout
    assert images(host) == {}
    assert not [*(host / "tmp").glob("*.tar")]


def test_an_import_that_fails_is_a_failure(host: Path) -> None:
    """A full disk, for one; the tar is not left to fill it."""
    fake(host / "bin", "docker", f'[ "$1" != import ] || exit 1\n{DOCKER}')
    assert run(host, ENSURE).returncode == 1
    assert images(host) == {}
    assert not [*(host / "tmp").glob("*.tar")]


def test_the_root_is_small_and_trixie_s(host: Path) -> None:
    """No manual pages and no translations; and Debian's mirrors are mmdebstrap's choice, which knows them all."""
    assert run(host, "make_local_base").returncode == 0
    made = next(line for line in calls(host).splitlines() if line.startswith("mmdebstrap"))
    assert "--variant=minbase" in made
    for left_out in ("man", "doc", "locale"):
        assert f"path-exclude=/usr/share/{left_out}/*" in made
    suite, tar = made.split()[-2:]
    assert suite == "trixie"
    assert tar.startswith(str(host / "tmp"))
