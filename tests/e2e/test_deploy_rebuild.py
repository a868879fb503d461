"""A change of the code builds again without what takes minutes, on the real engine."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE_IMAGE, AGENT_IMAGE = "satis-rebuild-test:code", "satis-rebuild-test:agent"
NOT_BUILT = (".git", ".venv", "build", "__pycache__", ".*_cache")
pytestmark = pytest.mark.timeout(1600)  # a builder without a cache compiles rathole

# As the deploy script builds, but with the names that a test gives.
_BUILD = """set -euo pipefail
for part in say install base-image build; do source "scripts/$part.sh"; done
ensure_base_image ask
copy_ca_bundle
even_modes
docker build --quiet --build-arg "BASE_IMAGE=$BASE_IMAGE" "$@" ."""


def build(tree: Path, *options: str) -> str:
    """Build in that tree; the image's id."""
    argv = ["/bin/bash", "-c", _BUILD, "build", *options]
    built = subprocess.run(argv, cwd=tree, capture_output=True, text=True, timeout=1500, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return built.stdout.split()[-1]


def docker(*arguments: str) -> str:
    """Run a docker command; what it printed."""
    done = subprocess.run(["/usr/bin/docker", *arguments], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def layers(image: str) -> list[str]:
    """The layers of an image, the lowest first."""
    found: list[str] = json.loads(docker("image", "inspect", "--format", "{{json .RootFS.Layers}}", image))
    return found


@pytest.fixture
def changed(tmp_path: Path) -> Iterator[Path]:
    """A copy of this tree by somebody with another umask, with one changed file; what is built of it is removed."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_BUILT))
    with (tree / "core" / "clock.py").open("a") as file:
        file.write("\n# Changed by a test.\n")
    for name in ("scripts/image/build-rathole.sh", "requirements.txt"):
        (tree / name).chmod(0o775)
    yield tree
    for image in (AGENT_IMAGE, CODE_IMAGE):
        subprocess.run(["/usr/bin/docker", "image", "rm", image], capture_output=True, timeout=60, check=False)


def test_a_code_change_builds_the_code_and_nothing_else(changed: Path) -> None:
    """No rathole is compiled and no venv installed again: of the image, the code's layer alone is new."""
    slow_before = [build(ROOT, "--target", target) for target in ("rathole", "venv")]
    before = layers(build(ROOT))
    build(changed, "--target", "code", "--tag", CODE_IMAGE)
    build(changed, "--tag", AGENT_IMAGE)
    after = layers(AGENT_IMAGE)
    assert [build(changed, "--target", target) for target in ("rathole", "venv")] == slow_before
    assert len(after) == len(before)
    assert len(set(after) - set(before)) == 1
    code = docker("run", "--rm", "--network", "none", AGENT_IMAGE, "cat", "/app/core/clock.py")
    assert code.endswith("# Changed by a test.\n")
