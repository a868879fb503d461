"""The deploy script takes the agent of the tests away and brings it back, with a game that runs."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docker.errors import NotFound

from tests.e2e.conftest import Spawn
from tests.e2e.deployment import AGENT, HOME, PROJECT, ROOT, Deployment

pytestmark = pytest.mark.timeout(300)

Script = Callable[..., str]
NOT_DEPLOYED = (".git", ".venv", "build", "data", "__pycache__", ".*_cache", ".env", ".demo.env")


def with_our_names(text: str) -> str:
    """The script, for the deployment of the tests and none beside it; all but the names is as it is."""
    names = {
        "PROJECT=satis\n": f"PROJECT={PROJECT}\n",
        "ENV_FILE=.env\n": f"ENV_FILE={HOME}/env\n",
        "AGENT_CONTAINER=satis-host-agent\n": f"AGENT_CONTAINER={AGENT}\n",
        " satis-network-setup\n": " satis-network-setup-e2e\n",
    }
    for name, ours in names.items():
        assert text.count(name) == 1, f"{name!r} is not where it was"
        text = text.replace(name, ours)
    return text


@pytest.fixture
def script(deployment: Deployment, tmp_path: Path) -> Iterator[Script]:
    """Return what runs the deploy script; the agent is there again afterwards, before a game of `spawn` is deleted."""
    tree = tmp_path / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_DEPLOYED))
    program = tree / "deploy-host-agent.sh"
    program.write_text(with_our_names(program.read_text()))

    def run(*arguments: str) -> str:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    yield run
    run()
    assert deployment.answers()


def is_there(deployment: Deployment) -> bool:
    """Whether there is a container of the agent."""
    try:
        return bool(deployment.agent)
    except NotFound:
        return False


def test_games_are_stopped_and_come_back_with_the_agent(deployment: Deployment, spawn: Spawn, script: Script) -> None:
    """`--down --games` changes nothing of what is wanted: the next agent brings back the same game at its address."""
    game = spawn()
    game.wait_until_settled()
    game.save("before")
    assert "players are cut off" in script("--down", "--games")
    assert not is_there(deployment)
    assert game.container.status == "exited"
    game.assert_silent()
    script()
    game.wait_until_settled()
    game.assert_reachable()
    assert "before.sav" in game.saves()


def test_without_games_they_go_on(deployment: Deployment, spawn: Spawn, script: Script) -> None:
    """`--down` alone ends the agent and its tunnels; the game runs on, and the next agent takes it as it is."""
    game = spawn()
    game.wait_until_settled()
    started = game.started_at
    assert "Games that run go on" in script("--down")
    assert not is_there(deployment)
    assert game.container.status == "running"
    game.assert_silent()
    script()
    game.wait_until_settled()
    game.assert_reachable()
    assert game.started_at == started
