"""Docker ends and takes the games and the agent along: what was wanted runs again, what was stopped stays so.

The orchestrator is away all the while.
"""

from collections.abc import Callable

import pytest

from tests.e2e.nested.conftest import Spawn
from tests.e2e.nested.engine import NestedEngine
from tests.e2e.nested.host import NETWORK, Host
from tests.e2e.rounds import ROUNDS
from tests.waiting import wait_until

pytestmark = [pytest.mark.long, pytest.mark.timeout(120 + 30 * ROUNDS)]


@pytest.mark.parametrize("end", [NestedEngine.stop, NestedEngine.kill])
def test_what_was_wanted_runs_again(plain: Host, spawn: Spawn, end: Callable[[NestedEngine], None]) -> None:
    """An engine's own stop of a game is nobody's wish; what an operator has stopped, before or after, stays stopped."""
    plays, rests = spawn(), spawn()
    assert rests.ask("stop").status_code == 200
    for _ in range(ROUNDS):
        end(plain.engine)
        plain.engine.start()
        plain.wait_until_ready()
        plays.wait_until_answered(within=60)
        assert (rests.phase, plain.is_running(rests.id)) == ("stopped", False)
        wait_until(plain.misses_orchestrator, within=30, saying="the agent says that the orchestrator is away")
    plain.engine.docker("stop", plays.id)
    wait_until(lambda: plays.phase == "stopped_externally", within=20, saying="a stop by hand is respected")


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
