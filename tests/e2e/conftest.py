"""One deployment for all end-to-end tests, and servers that end with their test."""

import secrets
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.deployment import FIRST_PORT, PORTS, Deployment
from tests.e2e.game import Game

Spawn = Callable[..., Game]


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
