"""What callers ask for, also while the agent dies or the manager is away."""

import signal as signals
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import requests

from tests.chaos.faults import RESTS, Fault, Reach
from tests.chaos.world import Wish, World, signal
from tests.e2e.game import Game
from tests.waiting import wait_until

Ask = Callable[[Game], requests.Response]
Die = Callable[[World], None]
_AGAIN = 30.0  # seconds within which a caller who comes again is answered
_LATE = 2.0  # seconds of an operation after which the agent dies at the latest
_DEATH = 40.0  # seconds: the agent starts, and ends what was under way


def _order(verb: str) -> Ask:
    return lambda game: game.deployment.call("POST", f"/api/containers/{verb}", json={"serverId": game.id})


def _delete(game: Game) -> requests.Response:
    return game.deployment.call("DELETE", f"/api/containers/{game.id}/delete")


def _answered(answer: requests.Response) -> requests.Response:
    assert answer.status_code == 200, answer.text
    return answer


def _stop(world: World, game: Game) -> None:
    answer = _answered(_order("stop")(game))
    assert answer.json()["saved"] is True, answer.text
    world.wishes[game.id] = Wish.STOPPED


def _start(world: World, game: Game) -> None:
    _answered(_order("start")(game))
    world.wishes[game.id] = Wish.RUNS


def _restart(_world: World, game: Game) -> None:
    answer = _answered(_order("restart")(game))
    assert answer.json()["saved"] is True, answer.text


def _kill(world: World, game: Game) -> None:
    _answered(_order("kill")(game))
    world.wishes[game.id] = Wish.STOPPED


def _make_anew(world: World, game: Game, callers: int = 1) -> None:
    _answered(_delete(game))
    assert game.is_gone_from_docker()
    world.provision(game, callers)


def _spawn_again(_world: World, game: Game) -> None:
    container = game.container.id
    assert _answered(game.spawn()).json()["containerId"] == container


def _reopen_tunnel(_world: World, game: Game) -> None:
    path, ports = f"/api/rathole/clients/{game.id}", {"gamePort": game.game_port, "beaconPort": game.beacon_port}
    _answered(game.deployment.call("POST", f"{path}/stop"))
    _answered(game.deployment.call("POST", f"{path}/start", json=ports))


@contextmanager
def _manager_frozen(world: World) -> Iterator[None]:
    """Have the manager hang for some seconds, whoever asks it meanwhile."""
    signal(world.deployment.edge, signals.SIGSTOP, "-m")
    seconds = world.random.uniform(2, 8)
    back = threading.Timer(seconds, signal, (world.deployment.edge, signals.SIGCONT, "-m"))
    back.start()
    try:
        yield
    finally:
        back.join()


def _with_manager_frozen(strike: Callable[[World, Game], None], world: World, game: Game) -> None:
    with _manager_frozen(world):
        strike(world, game)


def _die_amid(world: World, game: Game, ask: Ask, die: Die) -> None:
    """Have the agent die at some moment of an operation; the caller comes again and gets the finished thing."""
    caller = threading.Thread(target=_ask_in_vain, args=(ask, game), daemon=True)
    caller.start()
    world.pass_time(0, _LATE)
    die(world)
    caller.join()
    # In a list, since an answer that refuses is false: the caller is to get the finished thing at the first answer.
    (answer,) = wait_until(lambda: [ask(game)], within=_AGAIN, saying="the caller who comes again is answered")
    _answered(answer)


def _ask_in_vain(ask: Ask, game: Game) -> None:
    with suppress(requests.ConnectionError):
        ask(game)


def _kill_worker(world: World) -> None:
    world.deployment.kill(world.deployment.worker())


def _kill_compose(world: World) -> None:
    signal(world.deployment.agent, signals.SIGKILL, "compose")


def _restart_agent(world: World) -> None:
    world.deployment.agent.restart()


@dataclass(frozen=True)
class _Amid:
    """A fault that strikes amid an operation."""

    ask: Ask
    die: Die
    wish: Wish

    def __call__(self, world: World, game: Game) -> None:
        """Strike."""
        _die_amid(world, game, self.ask, self.die)
        world.wishes[game.id] = self.wish


def _die_amid_delete(world: World, game: Game, die: Die) -> None:
    _die_amid(world, game, _delete, die)
    assert game.is_gone_from_docker()
    world.provision(game)


def _die_amid_spawn(world: World, game: Game, die: Die) -> None:
    _answered(_delete(game))
    _die_amid(world, game, Game.spawn, die)
    world.mark(game)


_VICTIM = partial(Fault, games=Reach.VICTIM, packets=Reach.VICTIM)


def _amid(name: str, die: Die, packets: Reach) -> list[Fault]:
    fault = partial(Fault, games=Reach.VICTIM, packets=packets, within=_DEATH)
    return [
        fault(f"{name} amid a restart", _Amid(_order("restart"), die, Wish.RUNS)),
        fault(f"{name} amid a start", _Amid(_order("start"), die, Wish.RUNS), needs=RESTS),
        fault(f"{name} amid a spawn", partial(_die_amid_spawn, die=die)),
        fault(f"{name} amid a delete", partial(_die_amid_delete, die=die)),
        fault(f"{name} amid a stop", _Amid(_order("stop"), die, Wish.STOPPED), rests=True),
    ]


ORDERS = (
    _VICTIM("stop", _stop, rests=True),
    _VICTIM("start", _start, needs=RESTS),
    _VICTIM("restart", _restart),
    _VICTIM("kill", _kill, rests=True),
    _VICTIM("delete and spawn", _make_anew),
    _VICTIM("delete and four spawns at once", partial(_make_anew, callers=4)),
    Fault("spawn of what is there", _spawn_again),
    Fault("tunnel stopped and started", _reopen_tunnel, packets=Reach.VICTIM),
    _VICTIM("restart, manager frozen", partial(_with_manager_frozen, _restart)),
    _VICTIM("delete and spawn, manager frozen", partial(_with_manager_frozen, _make_anew), within=_DEATH),
    *_amid("worker killed", _kill_worker, Reach.VICTIM),
    *_amid("compose killed", _kill_compose, Reach.VICTIM)[:3],  # the others use none
    *_amid("agent restarted", _restart_agent, Reach.ALL),
)
