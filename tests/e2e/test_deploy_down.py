"""The deploy script takes the agent of the tests away and brings it back, with a game that runs."""

import pytest
from docker.errors import NotFound

from tests.e2e.conftest import Script, Spawn
from tests.e2e.deployment import Deployment

pytestmark = pytest.mark.timeout(300)


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
