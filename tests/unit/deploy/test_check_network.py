"""The one-shot service that says what satis_network is, with a fake of the Docker client."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.deploy.shell import SCRIPTS, fake, with_path

GOOD = {
    ".Driver": "bridge",
    ".IPAM": "172.20.0.0/16 ",
    ".Attachable": "false",
    ".Containers": "srv_1 satis-host-agent ",
    "enable_icc": "",
    ".Internal": "false",
}


def check(
    folder: Path, changes: dict[str, str] | None = None, ids: tuple[str, ...] = ("abc",)
) -> subprocess.CompletedProcess[str]:
    """Run the check where Docker knows networks of these ids, with these properties changed."""
    answers = {
        **GOOD,
        **{name if name == "enable_icc" else f".{name}": value for name, value in (changes or {}).items()},
    }
    cases = "\n".join(f'*{name}*) echo "{value}" ;;' for name, value in answers.items())
    listing = "\n".join(f"echo {network}" for network in ids) or ":"
    fake(folder / "bin", "docker", f'if [ "$2" = ls ]; then {listing}\nelse case "$*" in {cases}\nesac; fi')
    return subprocess.run(
        [SCRIPTS / "image" / "check-network.sh"],
        env=with_path(folder / "bin"),
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def test_a_good_network_is_described_in_one_line(tmp_path: Path) -> None:
    """Driver, subnet, attachable, and who is on it."""
    result = check(tmp_path)
    assert result.returncode == 0
    assert result.stdout == (
        "satis_network: driver bridge, subnet 172.20.0.0/16 attachable false, on it: srv_1 satis-host-agent \n"
    )


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"Driver": "macvlan"}, "driver is macvlan"),
        ({"Driver": "overlay"}, "--attachable"),
        ({"enable_icc": "false"}, "enable_icc"),
        ({"Internal": "true"}, "--internal"),
    ],
)
def test_a_network_without_a_way_to_a_server_is_refused(tmp_path: Path, changes: dict[str, str], word: str) -> None:
    """The sentence names the property and what to do."""
    result = check(tmp_path, changes)
    assert result.returncode == 1
    assert word in result.stderr
    assert "Make it anew" in result.stderr


def test_an_overlay_that_containers_can_join_will_do(tmp_path: Path) -> None:
    """Its names resolve as a bridge's do."""
    assert check(tmp_path, {"Driver": "overlay", "Attachable": "true"}).returncode == 0


@pytest.mark.parametrize("ids", [(), ("abc", "def")])
def test_anything_but_one_network_is_refused(tmp_path: Path, ids: tuple[str, ...]) -> None:
    """Docker's network names are not unique, and an ambiguous one is refused by every later `up`."""
    result = check(tmp_path, ids=ids)
    assert result.returncode == 1
    assert f"there are {len(ids)} networks" in result.stderr
