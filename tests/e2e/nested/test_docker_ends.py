"""Docker ends and takes the games and the agent along: what was wanted runs again, what was stopped stays so."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from compose.engine import Engine
from provisioning.docker_events import DockerEvents
from provisioning.loops import Loop
from provisioning.stops import Stops
from tests.e2e.nested.conftest import Spawn
from tests.e2e.nested.engine import NestedEngine
from tests.e2e.nested.host import NETWORK, Host
from tests.waiting import wait_until

ROUNDS = 20 if os.environ.get("SATIS_LONG") else 1

pytestmark = pytest.mark.timeout(120 + 30 * ROUNDS)


class Heard:
    """A table of servers that shall all run, and the keepers, as far as Docker's events see them."""

    def __init__(self) -> None:
        self.by_hand: list[str] = []

    def get(self, _name: str) -> object:
        """Return a server that is wanted."""
        return SimpleNamespace(container_wanted=True, deleting=False)

    def update(self, name: str, *, stopped_externally: bool) -> None:
        """Note a stop by hand."""
        assert stopped_externally
        self.by_hand.append(name)

    def wake_known(self, _name: str) -> None:
        """Nobody to wake."""

    def wake_all(self, *, urgent: bool = False) -> None:
        """Nobody to wake."""


@contextlib.contextmanager
def following(engine: NestedEngine) -> Iterator[Heard]:
    """Follow the events as the agent does, but through every end of the engine, which an agent may not live to see."""
    heard = Heard()
    stops = Stops(Engine(engine.socket), heard, clock=time.time)  # type: ignore[arg-type]
    events = DockerEvents(stops, heard)  # type: ignore[arg-type]
    loop = Loop("docker_events", events.step, longest_pause=1.0)
    loop.start()
    try:
        yield heard
    finally:
        loop.stop(0)


@pytest.mark.parametrize("end", [NestedEngine.stop, NestedEngine.kill])
def test_what_was_wanted_runs_again(plain: Host, spawn: Spawn, end: Callable[[NestedEngine], None]) -> None:
    """An engine's own stop of a game is nobody's wish; what an operator has stopped, before or after, stays stopped."""
    plays, rests = spawn(), spawn()
    assert rests.ask("stop").status_code == 200
    with following(plain.engine) as heard:
        for _ in range(ROUNDS):
            end(plain.engine)
            plain.engine.start()
            plain.wait_until_ready()
            plays.wait_until_answered(within=60)
            assert (rests.phase, plain.is_running(rests.id)) == ("stopped", False)
        assert heard.by_hand == []
        plain.engine.docker("stop", plays.id)
        wait_until(lambda: heard.by_hand == [plays.id], within=20, saying="a stop by hand is heard")
    wait_until(lambda: plays.phase == "stopped_externally", within=20, saying="it is respected")


def test_a_network_made_anew_while_docker_was_down(plain: Host, spawn: Spawn) -> None:
    """The games hold a network that is gone, and cannot be started as they are: they are made anew on the new one."""
    plays, rests = spawn(), spawn()
    assert rests.ask("stop").status_code == 200
    plain.remove_all_but_games()
    plain.engine.docker("stop", "--time", "1", plays.id)
    plain.engine.docker("network", "rm", NETWORK)
    plain.engine.restart()
    plain.make_network()
    plain.start_all_but_games()
    plays.wait_until_answered(within=60)
    assert (rests.phase, plain.is_running(rests.id)) == ("stopped", False)
    assert rests.ask("start").status_code == 200
    rests.wait_until_answered()
