"""The main job: from a request to a game that players reach through its tunnel, and back to nothing."""

from tests.e2e.conftest import Spawn
from tests.e2e.deployment import AGENT, DATA, NETWORK, Deployment
from tests.e2e.game import Player
from tests.waiting import wait_until


def test_a_server_runs_within_five_seconds_of_its_spawn(spawn: Spawn) -> None:
    """The orchestrator reads the status once, five seconds after the spawn, and believes it."""
    game = spawn()
    wait_until(lambda: game.status()["status"] == "running", within=5, saying="Docker's word is running")


def test_agent_and_server_meet_on_the_network_by_name(deployment: Deployment, spawn: Spawn) -> None:
    """Both are on satis_network, where the agent finds the server by its id."""
    game = spawn()
    (network,) = deployment.docker.networks.list(names=[NETWORK], greedy=True)
    members = {member["Name"] for member in network.attrs["Containers"].values()}
    assert {AGENT, game.id} <= members
    assert "1 received" in deployment.in_agent("ping", "-c1", game.id)


def test_docker_calls_the_agent_healthy(deployment: Deployment) -> None:
    """The health check of the compose file can be run in the image, and is answered; the first comes after 30 s."""
    wait_until(
        lambda: deployment.agent.attrs["State"]["Health"]["Status"] == "healthy",
        within=75,
        saying="Docker's word for the agent is healthy",
    )


def test_the_tunnel_leads_to_the_server_by_name(spawn: Spawn) -> None:
    """Each service of client.toml names the server's id and its port, never an address."""
    game = spawn()
    services = game.client_config()["client"]["services"]
    assert {name: service["local_addr"] for name, service in services.items()} == {
        f"{game.id}_game_tcp": f"{game.id}:{game.game_port}",
        f"{game.id}_game_udp": f"{game.id}:{game.game_port}",
        f"{game.id}_query": f"{game.id}:{game.beacon_port}",
    }


def test_players_reach_a_server_until_it_is_stopped_and_again_when_it_is_started(
    deployment: Deployment, spawn: Spawn
) -> None:
    """UDP, HTTPS and TCP answer at the public address; a stop keeps address and data for the next start."""
    game = spawn()
    game.assert_reachable()
    address = game.status()["agent"]["publicAddress"]
    assert address == f"127.0.0.1:{game.game_port}"
    game.save("before_the_stop")

    game.order("stop")
    assert game.container.status == "exited"
    assert deployment.tunnel_clients(game.id) == []
    game.assert_silent()

    game.order("start")
    game.assert_reachable()
    assert game.status()["agent"]["publicAddress"] == address
    assert "before_the_stop.sav" in game.saves()


def test_a_restart_is_a_new_run_that_players_reach(spawn: Spawn) -> None:
    """The container is started anew, and answers at the same address."""
    game = spawn()
    game.assert_reachable()
    before = game.started_at
    game.order("restart")
    assert game.started_at > before
    game.assert_reachable()


def test_a_kill_leaves_the_server_stopped(deployment: Deployment, spawn: Spawn) -> None:
    """Unsaved and at once, and it is not brought back behind the operator's back."""
    game = spawn()
    game.order("kill")
    assert game.container.status == "exited"
    assert (game.phase, deployment.tunnel_clients(game.id)) == ("stopped", [])


def test_a_delete_leaves_nothing(deployment: Deployment, spawn: Spawn) -> None:
    """Neither container, volume, folder, process, instance nor row; id and ports may be had again."""
    game = spawn()
    game.assert_reachable()
    (volume,) = [mount["Name"] for mount in game.container.attrs["Mounts"] if mount["Type"] == "volume"]

    game.delete()
    assert game.is_gone_from_docker()
    assert volume not in {left.name for left in deployment.docker.volumes.list()}
    assert deployment.tunnel_clients(game.id) == []
    assert [path for path in deployment.inside()["files"] if game.id in path] == []
    assert deployment.call("GET", f"/api/containers/{game.id}/status").status_code == 404
    assert game.id not in deployment.call("GET", "/api/rathole/clients").json()["clients"]
    wait_until(lambda: deployment.instance_status(game.id) == 404, within=30, saying="the instance is gone")

    assert game.spawn().status_code == 200
    game.assert_reachable()


def test_deleting_what_is_gone_is_done(deployment: Deployment, spawn: Spawn) -> None:
    """The orchestrator stops the tunnel of a server that it has just deleted, and expects success."""
    game = spawn()
    game.delete()
    game.delete()
    game.order("stop")
    assert deployment.call("POST", f"/api/rathole/clients/{game.id}/stop").status_code == 200


def test_a_server_is_played_on_while_another_is_deleted(spawn: Spawn) -> None:
    """Two at once: the end of the first costs the second's players not one packet."""
    first, second = spawn(), spawn()
    first.assert_reachable()
    second.wait_until_settled()
    with Player(second) as player:
        first.delete()
        player.play_on()
    assert player.lost == 0


def test_a_server_stopped_by_hand_stays_stopped_until_it_is_started(deployment: Deployment, spawn: Spawn) -> None:
    """Whoever stops a container himself means it; the agent's start brings game and tunnel back."""
    game = spawn()
    game.assert_reachable()
    game.container.stop()
    wait_until(lambda: game.phase == "stopped_externally", within=10, saying="the agent has noticed")
    looked = game.status()["agent"]["observedAt"]
    wait_until(lambda: game.status()["agent"]["observedAt"] > looked, within=30, saying="the agent looks again")
    assert (game.container.status, game.phase) == ("exited", "stopped_externally")
    assert deployment.tunnel_clients(game.id) == []

    game.order("start")
    game.assert_reachable()
    assert game.phase == "ready"


def test_an_agent_that_was_taken_off_the_network_comes_back(deployment: Deployment, spawn: Spawn) -> None:
    """Without the network no tunnel finds its game, so the agent keeps itself on it."""
    game = spawn()
    game.assert_reachable()
    deployment.docker.networks.get(NETWORK).disconnect(deployment.agent)
    game.assert_reachable(within=60)
    assert "host-agent-e2e" in deployment.agent.attrs["NetworkSettings"]["Networks"][NETWORK]["Aliases"]


def test_the_files_of_a_server_are_where_they_belong(deployment: Deployment, spawn: Spawn) -> None:
    """Compose file, record and data under the server's folder, the tunnel's files under its own."""
    game = spawn()
    game.assert_reachable()
    files = set(deployment.inside()["files"])
    folder = f"{DATA}/satisfactory/{game.id}"
    assert {f"{folder}/docker-compose.yml", f"{folder}/server.json", f"{folder}/data/{game.id}/saved/server"} <= files
    assert {f"{DATA}/rathole/{game.id}/{name}" for name in ("client.toml", "client.log")} <= files
