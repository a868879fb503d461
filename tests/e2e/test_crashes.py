"""What breaks, and how soon it is whole again; the agent's own death is in test_survival.py."""

from tests.e2e.conftest import Spawn
from tests.e2e.deployment import Deployment, wait_until_back
from tests.waiting import wait_until


def test_a_restart_of_the_agents_container_leaves_the_game_alone(deployment: Deployment, spawn: Spawn) -> None:
    """The tunnels live in that container, so they come anew; the game is not restarted."""
    game = spawn()
    game.wait_until_settled()
    started_at = game.started_at
    deployment.agent.restart()
    game.assert_reachable(within=30)
    game.wait_until_settled()
    assert game.started_at == started_at
    assert len(deployment.tunnel_clients(game.id)) == 1


def test_an_orderly_end_of_the_agent_takes_seconds(deployment: Deployment, spawn: Spawn) -> None:
    """SIGTERM ends the agent by itself: Docker need not wait for its grace of 45 s and kill."""
    spawn().wait_until_settled()
    deployment.agent.stop(timeout=15)
    ended = deployment.agent.attrs["State"]
    deployment.agent.start()
    wait_until_back(deployment, within=30)
    assert ended["ExitCode"] != 137


def test_a_stopped_server_stays_stopped_over_the_agents_restart(deployment: Deployment, spawn: Spawn) -> None:
    """What an operator stopped is not wanted, whoever comes next."""
    game = spawn()
    game.order("stop")
    deployment.agent.restart()
    wait_until_back(deployment, within=30)
    looked = wait_until(lambda: game.status()["agent"]["observedAt"], within=30, saying="the agent has looked")
    wait_until(lambda: game.status()["agent"]["observedAt"] > looked, within=30, saying="the agent looks again")
    assert (game.container.status, game.phase) == ("exited", "stopped")


def test_a_killed_tunnel_is_back_within_five_seconds(deployment: Deployment, spawn: Spawn) -> None:
    """The supervisor starts another rathole; the game does not notice."""
    game = spawn()
    game.wait_until_settled()
    started_at = game.started_at
    (client,) = deployment.tunnel_clients(game.id)
    deployment.kill(client)
    game.assert_reachable(within=5)
    (new,) = deployment.tunnel_clients(game.id)
    assert new.pid != client.pid
    assert game.started_at == started_at


def test_a_game_that_dies_comes_back_with_its_tunnel(spawn: Spawn) -> None:
    """Docker starts it again, and players reach it under the same address."""
    game = spawn()
    game.wait_until_settled()
    started_at = game.started_at
    game.container.exec_run(["python3", "-c", "import os; os.kill(1, 15)"])  # it dies of it at once, as the image does
    wait_until(lambda: game.started_at > started_at, within=15, saying="Docker has started it again")
    game.assert_reachable()


def test_a_container_removed_by_hand_is_made_anew_with_its_data(spawn: Spawn) -> None:
    """A stop is a wish, which is respected; a removal is none to be without the game, and costs no save."""
    game = spawn()
    game.assert_reachable()
    game.save("kept")
    old = game.container.id
    game.container.remove(force=True)
    wait_until(lambda: game.container.id != old, within=20, saying="it is made anew")
    game.assert_reachable()
    assert "kept.sav" in game.saves()


def test_a_restart_of_the_vps_brings_the_tunnel_back(deployment: Deployment, spawn: Spawn) -> None:
    """Nobody need touch the agent, and the game is not restarted."""
    game = spawn()
    game.wait_until_settled()
    started_at = game.started_at
    deployment.edge.restart()
    game.assert_reachable(within=60)
    assert game.started_at == started_at


def test_a_spawn_without_the_manager_succeeds_and_gets_its_tunnel_later(deployment: Deployment, spawn: Spawn) -> None:
    """The game runs, the answer says why there is no tunnel; it comes when the manager does."""
    deployment.edge.stop()
    try:
        game = spawn()
        assert game.container.status == "running"
        assert (game.tunnel["state"], game.tunnel["reason"]) == ("backoff", "manager_unreachable")
    finally:
        deployment.edge.start()
    game.assert_reachable(within=60)
    game.wait_until_settled()
