"""The agent dies right behind what a host sees once, the network, a join, the image: no server pays for it."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from core.failpoints import Failpoint
from tests.e2e.game import Player
from tests.e2e.nested.conftest import Spawn
from tests.e2e.nested.game import Game
from tests.e2e.nested.host import AGENT, AGENT_IMAGE, GAME_IMAGE, NETWORK, ROOT, SHARED, Host
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(300)
_WITHIN = 20.0  # seconds from the agent's death to the outcome that was asked for
_PATIENCE = 5.0  # seconds for one answer: while its container is off the network, nobody may refuse a connection
_REGISTRY, _REGISTRY_PORT = "satis-nested-registry", "5000"
_ARCHIVE = str(SHARED / "game.tar")
IMAGE = f"127.0.0.1:{_REGISTRY_PORT}/satis-test:latest"


@pytest.fixture(scope="module")
def mortal(host: Host) -> Iterator[Host]:
    """Return the host with an agent that dies where it is told to; what it calls the game's image can be pulled."""
    try:
        host.engine.docker("tag", GAME_IMAGE, IMAGE)
        host.replace_agent(PYTHONPATH="/control:/app", GAME_SERVER_IMAGE=IMAGE)
        yield host
    finally:
        host.replace_agent()


@pytest.fixture
def registry(mortal: Host) -> Iterator[None]:
    """Have the image in a registry, and no longer on the engine: to it, loopback is what is in its own container."""
    docker = mortal.engine.docker
    docker("save", "--output", _ARCHIVE, GAME_IMAGE)
    mounts = ["--volume", f"{ROOT}:/app:ro", "--volume", f"{SHARED}:{SHARED}:ro"]
    words = ["python", "-m", "tests.fakes.registry", _ARCHIVE, _REGISTRY_PORT]
    docker("run", "--detach", "--name", _REGISTRY, "--network", "host", *mounts, AGENT_IMAGE, *words)
    try:
        wait_until(lambda: _listens(mortal), within=60, saying="the registry listens", every=0.1)
        docker("rmi", "--force", IMAGE)
        yield
    finally:
        docker("rm", "--force", _REGISTRY)
        docker("tag", GAME_IMAGE, IMAGE)
        mortal.engine.inside("rm", _ARCHIVE)


def _listens(host: Host) -> bool:
    return "yes" in host.engine.inside("bash", "-c", f": </dev/tcp/127.0.0.1/{_REGISTRY_PORT} && echo yes")


def _die(host: Host, point: Failpoint, what: Callable[[], object]) -> float:
    """Have the agent die at a point that `what` leads to; return until when all has to be right again."""
    deaths = _deaths(host)
    host.arm(point)
    try:
        what()
        wait_until(lambda: point in host.trace(), within=60, saying=f"{point} is reached; {host.agent_log()}")
        until = time.monotonic() + _WITHIN
    finally:
        host.disarm()
    wait_until(lambda: _deaths(host) == deaths + 1, within=_WITHIN, saying="the worker has died, once")
    return until


def _deaths(host: Host) -> int:
    return host.agent_log("--since", host.started_at(AGENT)).count("exited with code 137")


def _wait_until_whole(host: Host, until: float, *games: Game) -> None:
    """Wait until who asks again for a server is told that it is there, and all of it is, and nothing of it twice."""

    def is_whole() -> bool:
        for game in games:
            answer = game.spawn(timeout=_PATIENCE)
            assert answer.status_code == 200, answer.text
        seen, expected = _seen(host), _expected(games)
        different = {key: (seen[key], expected[key]) for key in expected if seen[key] != expected[key]}
        assert not different, f"seen and expected differ: {different}"
        return True

    wait_until(is_whole, within=until - time.monotonic(), saying="all is whole, though the agent died", every=0.25)


def _seen(host: Host) -> dict[str, Any]:
    """Return all that there is of servers."""
    names = host.engine.docker("ps", "--all", "--filter", "label=satis.server_id", "--format", "{{.Names}}").split()
    networks = host.engine.docker("network", "ls", "--filter", f"name=^{NETWORK}$", "--format", "{{.Name}}").split()
    listed = host.call("GET", "/api/containers", timeout=_PATIENCE).json()["containers"]
    return {
        **host.snapshot(),
        "networks": networks,
        "containers": sorted(names),
        "phases": {row["serverId"]: row["agent"]["phase"] for row in listed},
        "instances": {name: host.instance_status(name) for name in names},
    }


def _expected(games: tuple[Game, ...]) -> dict[str, Any]:
    """Return what there should be."""
    ids = sorted(game.id for game in games)
    return {
        "networks": [NETWORK],
        "containers": ids,
        "clients": ids,
        "rows": ids,
        "processes": [["tunnel", name] for name in ids],
        "ports": sorted(port for game in games for port in (game.game_port, game.game_port, game.game_port + 1)),
        "composes": [],
        "open": [],
        "phases": dict.fromkeys(ids, "ready"),
        "instances": dict.fromkeys(ids, 200),
    }


def test_the_network_is_made(mortal: Host, plan: Spawn, spawn: Spawn) -> None:
    """No twin of it is made: the game that ran is brought back to it, and who asks for another one gets it."""
    plays, comes = spawn(), plan()
    try:
        until = _die(mortal, Failpoint.NETWORK_MADE, mortal.tear_out_network)
    finally:
        mortal.put_edge_on_network()
    _wait_until_whole(mortal, until, plays)
    assert comes.spawn().status_code == 200
    _wait_until_whole(mortal, time.monotonic() + _WITHIN, plays, comes)
    plays.wait_until_answered()


@pytest.mark.parametrize("who", ["agent", "game"])
def test_a_container_is_joined(mortal: Host, spawn: Spawn, who: str) -> None:
    """Whoever played meanwhile plays on, as he does where no agent dies; the game was not restarted."""
    game = spawn()
    container = AGENT if who == "agent" else game.id
    started_at = game.started_at
    with Player(game) as player:
        until = _die(mortal, Failpoint.NETWORK_JOINED, lambda: mortal.take_off_network(container))
        _wait_until_whole(mortal, until, game)
        player.play_on()
    assert game.started_at == started_at


@pytest.mark.usefixtures("registry")
def test_the_image_is_pulled(mortal: Host, plan: Spawn) -> None:
    """It is not pulled again: who asks again for the server gets it."""
    game = plan()
    until = _die(mortal, Failpoint.IMAGE_PULLED, lambda: _ask_in_vain(game))
    _wait_until_whole(mortal, until, game)
    assert mortal.trace()[Failpoint.IMAGE_PULLED] == 1
    assert mortal.field(game.id, "{{.Config.Image}}") == IMAGE
    game.wait_until_answered()


def _ask_in_vain(game: Game) -> None:
    with pytest.raises(requests.ConnectionError):
        game.spawn()
