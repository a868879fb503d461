"""Docker ends and takes the games and the agent along: what was wanted runs again, what was stopped stays so."""

import os
import time
from collections.abc import Callable

import pytest

from compose.engine import Engine
from provisioning.docker_events import DockerEvents
from provisioning.loops import Loop
from tests.e2e.nested.conftest import Spawn
from tests.e2e.nested.engine import NestedEngine
from tests.e2e.nested.host import GAME_IMAGE, NETWORK, Host
from tests.waiting import wait_until

ROUNDS = 20 if os.environ.get("SATIS_LONG") else 2

pytestmark = pytest.mark.timeout(120 + 30 * ROUNDS)


@pytest.mark.parametrize("end", [NestedEngine.stop, NestedEngine.kill])
def test_what_was_wanted_runs_again(plain: Host, spawn: Spawn, end: Callable[[NestedEngine], None]) -> None:
    """An engine that ended took the games and the agent along; what an operator had stopped stays stopped."""
    plays, rests = spawn(), spawn()
    assert rests.ask("stop").status_code == 200
    end(plain.engine)
    plain.engine.start()
    plain.wait_until_ready()
    plays.wait_until_answered(within=60)
    wait_until(lambda: plays.phase == "ready", within=30, saying="players can join")
    assert (rests.phase, plain.is_running(rests.id)) == ("stopped", False)


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


class Heard:
    """The keepers and our own stops, as far as Docker's events see them."""

    def __init__(self) -> None:
        self.by_hand: list[str] = []

    def stopped_by_us(self, _name: str, _time_ns: int) -> bool:
        """Nothing here is ours."""
        return False

    def stopped_by_hand(self, name: str) -> None:
        """Note it."""
        self.by_hand.append(name)

    def wake_known(self, _name: str) -> None:
        """Nobody to wake."""

    def wake_all(self, *, urgent: bool = False) -> None:
        """Nobody to wake."""


def test_an_engines_own_stop_is_nobodys_wish(plain: Host) -> None:
    """It stops each container as `docker stop` would, and yet nobody wanted the games to be stopped."""
    engine, heard = plain.engine, Heard()
    events = DockerEvents(Engine(engine.socket), heard, heard, clock=time.time)  # type: ignore[arg-type]
    loop = Loop("docker_events", events.step)
    names = [f"srv_nested_heard_{number}" for number in range(4)]
    for name in names:
        words = ["--name", name, "--init", "--restart", "unless-stopped", "--entrypoint", "sleep"]
        engine.docker("run", "--detach", *words, GAME_IMAGE, "600")
    loop.start()
    try:
        for _ in range(ROUNDS):
            engine.restart()
            wait_until(lambda: all(map(plain.is_running, names)), within=30, saying="all run again")
        assert heard.by_hand == []
        engine.docker("stop", names[0])
        wait_until(lambda: heard.by_hand, within=20, saying="a stop by hand is heard")
        assert heard.by_hand == [names[0]]
    finally:
        loop.stop(0)
        engine.docker("rm", "--force", *names)
