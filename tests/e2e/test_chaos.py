"""Random faults on five servers with players: nothing is lost, nothing doubled, all is right again in time."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.chaos.faults import Reach
from tests.chaos.run import FAULTS, Run, table
from tests.chaos.world import World
from tests.e2e.deployment import Deployment

pytestmark = pytest.mark.timeout(300)
SEED = 1
# The others are left to ./run-tests.sh chaos: after them it takes longer until all is right again.
SOON = [fault for fault in FAULTS if fault.within <= 20]


@pytest.fixture
def world(deployment: Deployment) -> Iterator[World]:
    """Return five servers with a player each; they are deleted after the test."""
    world = World(deployment, SEED)
    try:
        with world:
            yield world
    finally:
        for game in world.games:
            game.delete_wholly()


def test_ten_faults_leave_all_as_it_was_wanted(world: World) -> None:
    """Drawn with a fixed seed."""
    run = Run(world, print, SOON)
    run.go(10)
    print(table(run.outcomes))  # noqa: T201 - with -s or -rA
    assert [outcome for outcome in run.outcomes if outcome.wrong] == []


@pytest.mark.parametrize(
    ("claim", "said"),
    [({"games": Reach.NOBODY, "within": 3}, "restarted, though"), ({"packets": Reach.NOBODY}, "packets lost")],
)
def test_whoever_notices_what_he_should_not_is_reported(world: World, claim: dict[str, Any], said: str) -> None:
    """A judge who sees nothing would make every fault look well: here a restart claims to touch nobody."""
    restart = next(fault for fault in FAULTS if fault.name == "docker restart")
    run = Run(world, print, [replace(restart, **claim)])
    run.go(1)
    assert said in (run.outcomes[0].wrong or "")
