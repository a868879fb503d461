"""Which address of this host the deploy script writes down, with a Docker that runs the container's command here."""

import sys
from pathlib import Path

import pytest

from tests.unit.deploy.shell import bash, fake, with_path

PARTS = ("say", "install", "base-image", "build", "settings")
# The route is this machine's own, as it is for a container on the host's network.
RUN = f'while [ "$1" != python ]; do shift; done; shift; exec {sys.executable} "$@"'


def find(folder: Path, settings: str, run: str = RUN, subnets: str = "198.51.100.0/24") -> str:
    """Have the address found with those settings, with those Docker networks; all that was said."""
    (folder / ".env").write_text(settings)
    answers = f"run) {run} ;;\nnetwork) [ $2 = ls ] && echo n1 n2 || printf '%s\\n\\n' {subnets} ;;"
    fake(folder / "bin", "docker", f'echo "$*" >>{folder}/calls\ncase "$1" in\n{answers}\nesac')
    result = bash("find_advertise_address", folder, parts=PARTS, env=with_path(folder / "bin"))
    assert result.returncode == 0, result.stderr
    return result.stdout


def address(folder: Path) -> str:
    """What stands in the settings afterwards."""
    return bash("setting .env ADVERTISE_ADDRESS", folder, parts=("say", "settings")).stdout


def test_it_is_the_source_of_the_route_to_the_orchestrator(tmp_path: Path) -> None:
    """By a real route, the one to this machine itself; and it is said what was written where."""
    said = find(tmp_path, "ORCHESTRATOR_HOST=localhost\n")
    assert address(tmp_path) == "127.0.0.1"
    assert said == "This host's address is 127.0.0.1 (ADVERTISE_ADDRESS in .env)\n"
    assert "--network host" in (tmp_path / "calls").read_text()


@pytest.mark.parametrize("settings", ["", "ORCHESTRATOR_HOST=\n"])
def test_without_an_orchestrator_it_is_that_of_the_way_out(tmp_path: Path, settings: str) -> None:
    """Players reach this host by it, where no tunnel leads here: the target is an address that is nobody's."""
    find(tmp_path, settings, run='printf "192.0.2.7\\n"; printf "%s\\n" "$@" >target')
    assert address(tmp_path) == "192.0.2.7"
    assert "192.0.2.1" in (tmp_path / "target").read_text().split()


@pytest.mark.parametrize("settings", ["ADVERTISE_ADDRESS=192.0.2.9\n", "USE_HOSTNAME_REGISTRATION=true\n"])
def test_an_operator_s_word_is_left_alone(tmp_path: Path, settings: str) -> None:
    """An address that was set, or a registration that needs none: no container is run to find another."""
    assert find(tmp_path, f"ORCHESTRATOR_HOST=localhost\n{settings}") == ""
    assert (tmp_path / ".env").read_text() == f"ORCHESTRATOR_HOST=localhost\n{settings}"
    assert not (tmp_path / "calls").exists()


def test_an_orchestrator_that_is_not_found_is_said(tmp_path: Path) -> None:
    """Its name may be known to Docker only; the deployment goes on, and the setting stays the operator's to make."""
    said = find(tmp_path, "ORCHESTRATOR_HOST=orchestrator.invalid\n")
    assert "was not found; set ADVERTISE_ADDRESS in .env" in said
    assert address(tmp_path) == ""


def test_an_address_on_a_bridge_is_taken_with_a_warning(tmp_path: Path) -> None:
    """An orchestrator in a container of this host reaches it there; whoever is elsewhere does not."""
    said = find(tmp_path, "ORCHESTRATOR_HOST=localhost\n", subnets="fd00::/64 127.0.0.0/16 172.17.0.0/16")
    assert address(tmp_path) == "127.0.0.1"
    assert "Only containers of this host reach it there (Docker's 127.0.0.0/16)" in said
    assert "set ADVERTISE_ADDRESS yourself" in said
