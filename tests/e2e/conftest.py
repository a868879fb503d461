"""One deployment for all end-to-end tests, and servers that end with their test."""

import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.deployment import AGENT, FIRST_PORT, HOME, PORTS, PROJECT, ROOT, Deployment, wait_until_back
from tests.e2e.game import Game

Spawn = Callable[..., Game]
Script = Callable[..., str]
NOT_DEPLOYED = (".git", ".venv", "build", "data", "__pycache__", ".*_cache", ".env", ".demo.env")


@pytest.fixture(scope="session")
def deployment() -> Iterator[Deployment]:
    """Return an agent and an edge that run; whatever they made is gone afterwards."""
    deployment = Deployment()
    try:
        deployment.up()
        yield deployment
    finally:
        deployment.close()


@pytest.fixture
def plan(deployment: Deployment) -> Iterator[Spawn]:
    """Return what thinks of a server with an id and ports of its own, without asking for it."""
    games: list[Game] = []

    def plan(**changes: object) -> Game:
        port = FIRST_PORT + 2 * len(games)
        assert port + 1 < FIRST_PORT + PORTS, "the edge of the tests has no more ports"
        spec = {
            "serverId": f"srv_e2e_{secrets.token_hex(4)}",
            "serverName": "Würfel & Söhne",
            "gamePort": port,
            "beaconPort": port + 1,
            "ramAllocation": 1,
            "cpuAllocation": 1,
            "maxPlayers": 4,
            "serverPassword": None,
            "environmentVariables": {},
        }
        games.append(Game(deployment, {**spec, **changes}))
        return games[-1]

    yield plan
    wait_until_back(deployment, within=60)  # or a test that failed amid a restart would fail the next ones, too
    for game in games:
        game.delete_wholly()


@pytest.fixture
def spawn(plan: Spawn) -> Spawn:
    """Return what provisions a server with an id and ports of its own; it is deleted after the test."""

    def spawn(**changes: object) -> Game:
        game = plan(**changes)
        answer = game.spawn()
        assert answer.status_code == 200, answer.text
        return game

    return spawn


def with_our_names(text: str) -> str:
    """The script, for the deployment of the tests and none beside it; all but the names is as it is."""
    names = {
        "PROJECT=satis\n": f"PROJECT={PROJECT}\n",
        "ENV_FILE=.env\n": f"ENV_FILE={HOME}/env\n",
        "AGENT_CONTAINER=satis-host-agent\n": f"AGENT_CONTAINER={AGENT}\n",
        " satis-network-setup\n": " satis-network-setup-e2e\n",
    }
    for name, ours in names.items():
        assert name in text, f"{name!r} is not where it was"
        text = text.replace(name, ours)
    return text


@pytest.fixture
def script(deployment: Deployment, tmp_path: Path) -> Iterator[Script]:
    """Return what runs the deploy script; the agent is there again afterwards, before a game of `spawn` is deleted."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_DEPLOYED))
    program = tree / "deploy-host-agent.sh"
    program.write_text(with_our_names(program.read_text()))

    def run(*arguments: str, fails: bool = False) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=240, check=False)
        said = done.stdout + done.stderr
        assert (done.returncode != 0) is fails, said
        return said

    yield run
    run()
    assert deployment.answers()
