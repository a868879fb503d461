"""What may happen to a deployment, and what must not follow from it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from tests.chaos.world import Wish, World
from tests.e2e.game import Game

RUNS = frozenset({Wish.RUNS})
RESTS = frozenset({Wish.STOPPED, Wish.BY_HAND})


class Reach(Enum):
    """Whom a fault may touch."""

    NOBODY = auto()
    VICTIM = auto()
    ALL = auto()


@dataclass(frozen=True)
class Fault:
    """One thing that may happen.

    Attributes:
        name: what.
        strike: does it to a server, or to all, and returns when it is over.
        games: whose game may be restarted by it.
        packets: whose players may miss packets.
        needs: what the victim must be before.
        rests: the victim does not run afterwards.
        within: seconds after which all must be right again.
    """

    name: str
    strike: Callable[[World, Game], object]
    games: Reach = Reach.NOBODY
    packets: Reach = Reach.NOBODY
    needs: frozenset[Wish] = field(default=RUNS)
    rests: bool = False
    within: float = 20.0

    def spares(self, reach: Reach, victim: str, everybody: list[str]) -> list[str]:
        """Return who must notice nothing, where a fault of this reach strikes `victim`."""
        spared = {Reach.NOBODY: everybody, Reach.VICTIM: [one for one in everybody if one != victim], Reach.ALL: []}
        return spared[reach]
