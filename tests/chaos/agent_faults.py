"""What happens to the agent, its files and its tunnels."""

import signal as signals
from dataclasses import replace

from tests.chaos.faults import Fault, Reach
from tests.chaos.world import SPOILT, World, signal
from tests.e2e.deployment import AGENT, DATA, NETWORK
from tests.e2e.game import Game
from tests.waiting import wait_until

_COMPOSE, _CLIENT = "{}/satisfactory/{}/docker-compose.yml", "{}/rathole/{}/client.toml"
_RESTART = 40.0  # seconds: the agent's container starts, then all tunnels do


def _kill_worker(world: World, _game: Game) -> None:
    world.deployment.kill(world.deployment.worker())


def _kill_master(world: World, _game: Game) -> None:
    world.deployment.kill(world.deployment.master())


def _hang_up(world: World, _game: Game) -> None:
    deployment, worker = world.deployment, world.deployment.worker()
    deployment.in_agent("bash", "-c", f"kill -HUP {deployment.master().pid}")
    wait_until(lambda: deployment.worker() != worker, within=30, saying="another worker has taken over")


def _freeze_worker(world: World, _game: Game) -> None:
    worker = world.deployment.worker().pid
    world.deployment.in_agent("bash", "-c", f"kill -STOP {worker}")
    world.pass_time(1, 6)
    world.deployment.in_agent("bash", "-c", f"kill -CONT {worker}")


def _kill_agent(world: World, _game: Game) -> None:
    world.deployment.agent.kill()
    world.pass_time(0, 3)
    world.deployment.agent.start()


def _leave_network(world: World, _game: Game) -> None:
    world.deployment.docker.networks.get(NETWORK).disconnect(AGENT)


def _kill_client(world: World, game: Game) -> None:
    signal(world.deployment.agent, signals.SIGKILL, "--client", game.id)


def _start_second_client(world: World, game: Game) -> None:
    config = _CLIENT.format(DATA, game.id)
    world.deployment.agent.exec_run(["rathole", "--client", config], detach=True)


def _edit(world: World, path: str) -> None:
    world.deployment.in_agent("sh", "-c", f"echo '{SPOILT}' >> {path}")


def _remove(world: World, path: str) -> None:
    world.deployment.in_agent("rm", "-r", path)


def then_worker_killed(fault: Fault) -> Fault:
    """Return the same fault with the agent dying a moment later, amid whatever it does about it."""

    def strike(world: World, game: Game) -> None:
        fault.strike(world, game)
        world.pass_time(0, 1)
        _kill_worker(world, game)

    return replace(fault, name=f"{fault.name}, then worker killed", strike=strike, within=fault.within + _RESTART)


AGENT_FAULTS = (
    Fault("worker killed", _kill_worker),
    Fault("master killed", _kill_master),
    Fault("agent told to reload (HUP)", _hang_up),
    Fault("worker frozen", _freeze_worker),
    Fault("agent restarted", lambda world, _: world.deployment.agent.restart(), packets=Reach.ALL, within=_RESTART),
    Fault("agent's container killed", _kill_agent, packets=Reach.ALL, within=_RESTART),
    Fault("agent replaced", lambda world, _: world.deployment.recreate_agent(), packets=Reach.ALL, within=_RESTART),
    Fault("agent off the network", _leave_network, packets=Reach.ALL, within=_RESTART),
    Fault("client killed", _kill_client, packets=Reach.VICTIM),
    Fault("second client", _start_second_client, packets=Reach.VICTIM),
    Fault("compose file edited", lambda world, game: _edit(world, _COMPOSE.format(DATA, game.id))),
    Fault("compose file removed", lambda world, game: _remove(world, _COMPOSE.format(DATA, game.id))),
    Fault("client.toml edited", lambda world, game: _edit(world, _CLIENT.format(DATA, game.id))),
    Fault("client.toml removed", lambda world, game: _remove(world, _CLIENT.format(DATA, game.id))),
    Fault(
        "tunnel's folder removed",
        lambda world, game: _remove(world, f"{DATA}/rathole/{game.id}"),
        packets=Reach.VICTIM,
    ),
)
