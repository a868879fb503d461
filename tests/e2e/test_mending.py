"""What others break is mended within 20 s, once, and the log says what was wrong."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from docker.errors import APIError

from tests.e2e.conftest import Spawn
from tests.e2e.deployment import AGENT, DATA, EDGE, GAME_IMAGE, HOME, NETWORK, Deployment
from tests.e2e.game import Game, Player
from tests.waiting import wait_until

Break = Callable[[Deployment, Game], object]


def _edit(path: str) -> Break:
    return lambda deployment, game: deployment.in_agent("sh", "-c", f"echo '# x' >> {path.format(DATA, game.id)}")


def _remove(path: str) -> Break:
    return lambda deployment, game: deployment.in_agent("rm", path.format(DATA, game.id))


def _start_second_client(deployment: Deployment, game: Game) -> None:
    config = f"{DATA}/rathole/{game.id}/client.toml"
    deployment.agent.exec_run(["rathole", "--client", config], detach=True)
    wait_until(lambda: len(deployment.tunnel_clients(game.id)) == 2, within=5, saying="there are two clients")


def _kill_client(deployment: Deployment, game: Game) -> None:
    (client,) = deployment.tunnel_clients(game.id)
    deployment.kill(client)


COMPOSE, CLIENT = "{}/satisfactory/{}/docker-compose.yml", "{}/rathole/{}/client.toml"
BREAKS = [
    pytest.param(_remove(COMPOSE), "compose file is missing", False, id="compose file gone"),
    pytest.param(_edit(COMPOSE), "compose file is missing or not", False, id="compose file edited"),
    pytest.param(_remove(CLIENT), "client.toml is missing", False, id="client.toml gone"),
    pytest.param(_edit(CLIENT), "client.toml is missing or not", False, id="client.toml edited"),
    pytest.param(_kill_client, "was killed by signal 9", False, id="client killed"),
    pytest.param(_start_second_client, "that nobody knows is ended", False, id="second client"),
    pytest.param(
        lambda _, game: game.container.remove(force=True), "There is no container", True, id="container removed"
    ),
    pytest.param(
        lambda deployment, game: deployment.docker.networks.get(NETWORK).disconnect(game.id),
        "was taken off satis_network",
        False,
        id="game off the network",
    ),
    pytest.param(
        lambda deployment, _: deployment.docker.networks.get(NETWORK).disconnect(AGENT, force=True),
        "The agent's container was not on satis_network",
        False,
        id="agent off the network",
    ),
    pytest.param(
        lambda deployment, _: deployment.rebuild_vps(), "does not know the tunnel's instance", False, id="VPS rebuilt"
    ),
]


def _said(deployment: Deployment, since: int = 0) -> str:
    """Return what the agent has said since its log had so many bytes."""
    return deployment.agent.logs()[since:].decode()


def _is_whole(deployment: Deployment, game: Game) -> bool:
    files = [path.format(DATA, game.id) for path in (COMPOSE, CLIENT)]
    text = deployment.in_agent("cat", *files)
    return "# x" not in text and game.phase == "ready" and len(deployment.tunnel_clients(game.id)) == 1


@pytest.mark.parametrize(("damage", "sentence", "new_container"), BREAKS)
def test_it_is_mended(
    deployment: Deployment, spawn: Spawn, damage: Break, sentence: str, *, new_container: bool
) -> None:
    """Whole again within 20 s; a running game is not restarted for it; the sentence is there once."""
    game = spawn()
    game.wait_until_settled()
    started_at, mark = game.started_at, len(deployment.agent.logs())
    damage(deployment, game)

    def is_mended() -> bool:
        return sentence in _said(deployment, mark) and _is_whole(deployment, game)

    wait_until(is_mended, within=20, saying=f"it is mended: {sentence}", every=0.25)
    game.assert_reachable(within=10)
    assert _said(deployment, mark).count(sentence) == 1
    assert (game.started_at != started_at) is new_container


def _tear_out_network(deployment: Deployment) -> None:
    """Remove the network under all that runs on it, before anybody can join it again."""
    network = deployment.docker.networks.get(NETWORK)
    deployment.agent.pause()
    for container in network.attrs["Containers"].values():
        network.disconnect(container["Name"], force=True)
    network.remove()
    deployment.agent.unpause()
    wait_until(lambda: deployment.docker.networks.get(NETWORK), within=20, saying="the network is made again")
    deployment.docker.networks.get(NETWORK).connect(EDGE)


def test_a_network_that_is_made_again_is_followed(deployment: Deployment, spawn: Spawn) -> None:
    """A running game is put on it; one that was stopped holds the old one, and is made anew at its start."""
    running, stopped = spawn(), spawn()
    running.wait_until_settled()
    stopped.order("stop")
    before = running.started_at, stopped.container.id
    _tear_out_network(deployment)
    wait_until(lambda: _is_whole(deployment, running), within=20, saying="the running game is whole", every=0.25)
    running.assert_reachable(within=10)
    stopped.order("start")
    stopped.assert_reachable(within=20)
    assert running.started_at == before[0]
    assert stopped.container.id != before[1]


def test_an_image_that_is_gone_is_named_and_waited_for(deployment: Deployment, spawn: Spawn) -> None:
    """It can neither be made nor pulled without it; the log says so once, and once it is back the game runs."""
    game = spawn()
    game.wait_until_settled()
    mark = len(deployment.agent.logs())
    sentences = ["The game's image is not on this host", f"The image {GAME_IMAGE} cannot be pulled"]
    deployment.docker.images.remove(GAME_IMAGE, force=True, noprune=True)
    try:
        game.container.remove(force=True)
        wait_until(lambda: sentences[1] in _said(deployment, mark), within=20, saying="the log names the image")
        assert game.is_gone_from_docker()
    finally:
        deployment.build_game_image()
    # Each try that fails lets twice as much time pass until the next one.
    wait_until(lambda: _is_whole(deployment, game), within=60, saying="the game runs", every=0.25)
    game.assert_reachable(within=10)
    assert [_said(deployment, mark).count(sentence) for sentence in sentences] == [1, 1]


def test_a_twin_of_the_network_is_removed(deployment: Deployment, spawn: Spawn) -> None:
    """Compose refuses the name as ambiguous then: the empty one goes, players do not notice, and a spawn succeeds."""
    game = spawn()
    game.wait_until_settled()
    started_at, mark, kept = game.started_at, len(deployment.agent.logs()), _networks(deployment)
    with Player(game) as player:
        _make_twin(deployment)
        spawn()
        wait_until(lambda: _networks(deployment) == kept, within=20, saying="the twin is gone")
        player.play_on()
    assert player.lost == 0
    assert (game.started_at, game.phase) == (started_at, "ready")
    assert _said(deployment, mark).count("There are several networks of one name") == 1


def _networks(deployment: Deployment) -> list[str]:
    """Return the ids of all networks of the games' network's name: Docker also lists longer names."""
    return [found.id or "" for found in deployment.docker.networks.list(names=[NETWORK]) if found.name == NETWORK]


def _make_twin(deployment: Deployment) -> None:
    """The command line asks Docker to refuse a twin; who does not ask gets one."""
    try:
        deployment.docker.networks.create(NETWORK, check_duplicate=False)
    except APIError as error:
        if error.status_code == 409:
            pytest.skip("This host's engine takes no name for two networks.")
        raise


@contextlib.contextmanager
def _upgraded(deployment: Deployment, image: str) -> Iterator[None]:
    """Have an agent that makes games of another image, and the old one afterwards."""
    settings = HOME / "env"
    before = settings.read_text()
    deployment.docker.images.get(GAME_IMAGE).tag(image)
    settings.write_text(f"{before}GAME_SERVER_IMAGE={image}\n")
    try:
        deployment.recreate_agent()
        yield
    finally:
        settings.write_text(before)
        deployment.recreate_agent()
        deployment.docker.images.remove(image, force=True, noprune=True)


@pytest.mark.timeout(240)
def test_another_template_recreates_no_running_game(deployment: Deployment, spawn: Spawn) -> None:
    """The new agent writes the file anew and shows that something waits; the next stop and start bring it."""
    game = spawn()
    game.wait_until_settled()
    before, image = (game.container.id, game.started_at), GAME_IMAGE.replace("latest", "next")
    with _upgraded(deployment, image):
        wait_until(lambda: game.status()["agent"]["pendingChanges"], within=20, saying="it is shown", every=0.25)
        game.wait_until_settled()
        assert image in deployment.in_agent("cat", COMPOSE.format(DATA, game.id))
        assert _said(deployment).count("The compose file is missing or not what it should be") == 1
        assert ((game.container.id, game.started_at), game.status()["agent"]["pendingChanges"]) == (before, True)
        game.order("stop")
        game.order("start")
        game.wait_until_settled()
        assert game.container.attrs["Config"]["Image"] == image
        assert not game.status()["agent"]["pendingChanges"]


def test_a_stop_by_hand_is_respected(deployment: Deployment, spawn: Spawn) -> None:
    """`docker stop` and `docker start` are an operator's wishes too; a removal is not one to be without the game."""
    game = spawn()
    game.wait_until_settled()
    game.container.stop()
    wait_until(lambda: game.phase == "stopped_externally", within=20, saying="it is shown as stopped by hand")
    wait_until(lambda: not deployment.tunnel_clients(game.id), within=20, saying="its tunnel is down")
    assert game.container.status == "exited"
    game.container.start()
    game.wait_until_settled()


def test_a_container_of_nobody_is_reported_and_left_alone(deployment: Deployment) -> None:
    """It carries the label of a server that the agent does not know."""
    name = "srv_e2e_of_nobody"
    stray = deployment.docker.containers.run(
        GAME_IMAGE, name=name, detach=True, labels={"satis.server_id": name, "com.docker.compose.project": "satis-e2e"}
    )
    try:
        wait_until(lambda: name in _dangling(deployment), within=20, saying="it is reported", every=0.25)
        stray.reload()
        assert stray.status == "running"
    finally:
        stray.remove(force=True)
    wait_until(lambda: name not in _dangling(deployment), within=20, saying="it is no longer reported", every=0.25)


def _dangling(deployment: Deployment) -> list[str]:
    found = deployment.call("GET", "/api/containers").json()["dangling"]
    return [container["name"] for container in found]
