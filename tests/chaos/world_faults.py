"""What happens to a game's container by somebody's hand, and to the VPS."""

import signal as signals

from tests.chaos.faults import Fault, Reach
from tests.chaos.world import Wish, World, signal
from tests.e2e.deployment import NETWORK
from tests.e2e.game import Game
from tests.waiting import wait_until

_MANAGER, _TUNNELS = "-m", "--server"  # a word of the command lines on the VPS
_SHORT, _LONG = 3.0, 12.0  # seconds of an outage
_OUTAGE = 40.0  # seconds: the VPS starts, then clients try again
_REFUSED = 100.0  # seconds: a tunnel is refused for a minute before its instance is made anew

_FORGET = """
import os, requests, sys
url = f"http://{os.environ['RATHOLE_INSTANCE_MANAGER_HOST']}:7001/api/instances/{sys.argv[1]}"
requests.delete(url, headers={"X-API-Token": os.environ["RATHOLE_TOKEN"]}, timeout=10).raise_for_status()
"""


def _remove_game(_world: World, game: Game) -> None:
    game.container.remove(force=True)


def _kill_game(_world: World, game: Game) -> None:
    game.container.exec_run(["sh", "-c", "kill -TERM 1"])  # at once and unsaved, as the image dies


def _restart_by_hand(_world: World, game: Game) -> None:
    game.container.restart()


def _pause_game(world: World, game: Game) -> None:
    game.container.pause()
    world.pass_time(_SHORT, _LONG)
    game.container.unpause()


def _stop_by_hand(world: World, game: Game) -> None:
    game.container.stop()
    world.wishes[game.id] = Wish.BY_HAND


def _kill_by_hand(world: World, game: Game) -> None:
    game.container.kill()
    world.wishes[game.id] = Wish.BY_HAND


def _start_by_hand(world: World, game: Game) -> None:
    game.container.start()
    world.wishes[game.id] = Wish.RUNS


def _stop_and_start_by_hand(world: World, game: Game) -> None:
    game.container.stop()
    world.pass_time(0, _SHORT)
    game.container.start()


def _leave_network(world: World, game: Game) -> None:
    world.deployment.docker.networks.get(NETWORK).disconnect(game.id)


def _stop_edge(world: World, _game: Game) -> None:
    world.deployment.edge.stop()
    world.pass_time(_SHORT, _LONG)
    world.deployment.edge.start()


def _pause_edge(world: World, _game: Game) -> None:
    world.deployment.edge.pause()
    world.pass_time(_SHORT, _LONG)
    world.deployment.edge.unpause()


def _freeze(world: World, *words: str) -> None:
    signal(world.deployment.edge, signals.SIGSTOP, *words)
    world.pass_time(_SHORT, _LONG)
    signal(world.deployment.edge, signals.SIGCONT, *words)


def _kill_tunnels(world: World, *words: str) -> None:
    signal(world.deployment.edge, signals.SIGKILL, _TUNNELS, *words)


def _remove_game_without_agent(world: World, game: Game) -> None:
    world.deployment.agent.kill()
    game.container.remove(force=True)
    world.deployment.agent.start()


def _reboot(world: World, _game: Game) -> None:
    """End everything at once, as a power cut does; the games do not come back by themselves."""
    running = [world.deployment.container(server_id) for server_id in world.running()]
    for container in (world.deployment.agent, world.deployment.edge, *running):
        container.kill()
    world.deployment.agent.start()
    world.pass_time(0, _SHORT)
    world.deployment.edge.start()


def _forget_instance(world: World, game: Game) -> None:
    world.deployment.in_agent("python", "-c", _FORGET, game.id)
    wait_until(lambda: not world.players[world.games.index(game)].is_served(), within=5, saying="it is gone")


WORLD_FAULTS = (
    Fault("container removed", _remove_game, games=Reach.VICTIM, packets=Reach.VICTIM),
    Fault(
        "container removed while the agent is dead",
        _remove_game_without_agent,
        games=Reach.VICTIM,
        packets=Reach.ALL,
        within=_OUTAGE,
    ),
    Fault("everything killed at once", _reboot, games=Reach.ALL, packets=Reach.ALL, within=_OUTAGE),
    Fault("game died", _kill_game, games=Reach.VICTIM, packets=Reach.VICTIM),
    Fault("docker restart", _restart_by_hand, games=Reach.VICTIM, packets=Reach.VICTIM),
    Fault("game paused", _pause_game, packets=Reach.VICTIM),
    Fault("docker stop", _stop_by_hand, games=Reach.VICTIM, packets=Reach.VICTIM, rests=True),
    Fault("docker kill", _kill_by_hand, games=Reach.VICTIM, packets=Reach.VICTIM, rests=True),
    Fault(
        "docker start",
        _start_by_hand,
        games=Reach.VICTIM,
        packets=Reach.VICTIM,
        needs=frozenset({Wish.BY_HAND}),
    ),
    Fault("docker stop, docker start", _stop_and_start_by_hand, games=Reach.VICTIM, packets=Reach.VICTIM),
    Fault("game off the network", _leave_network, packets=Reach.VICTIM),
    Fault("VPS restarted", lambda world, _: world.deployment.edge.restart(), packets=Reach.ALL, within=_OUTAGE),
    Fault("VPS away", _stop_edge, packets=Reach.ALL, within=_OUTAGE),
    Fault("VPS frozen", _pause_edge, packets=Reach.ALL, within=_OUTAGE),
    Fault("manager frozen", lambda world, _: _freeze(world, _MANAGER)),
    Fault("VPS silent", lambda world, _: _freeze(world, _TUNNELS), packets=Reach.ALL, within=_OUTAGE),
    Fault("all rathole servers killed", lambda world, _: _kill_tunnels(world), packets=Reach.ALL, within=_OUTAGE),
    Fault(
        "rathole server killed",
        lambda world, game: _kill_tunnels(world, game.id),
        packets=Reach.VICTIM,
        within=_OUTAGE,
    ),
    Fault("instance forgotten by the VPS", _forget_instance, packets=Reach.VICTIM, within=_REFUSED),
)
