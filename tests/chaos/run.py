"""A run: fault after fault, each judged before the next one comes."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.chaos.agent_faults import AGENT_FAULTS, then_worker_killed
from tests.chaos.faults import Fault, Reach
from tests.chaos.judge import Judge
from tests.chaos.orders import ORDERS
from tests.chaos.player import Player
from tests.chaos.world import World
from tests.chaos.world_faults import WORLD_FAULTS
from tests.e2e.game import Game
from tests.waiting import wait_until

_SINGLE = (*AGENT_FAULTS, *WORLD_FAULTS)
# One that is stopped by hand while nobody looks is started again: what comes of those is not certain.
_MENDED = [fault for fault in _SINGLE if fault.packets is Reach.VICTIM and not fault.rests]
FAULTS = (*_SINGLE, *ORDERS, *map(then_worker_killed, _MENDED))
_FIRST = 60.0  # seconds until five new servers are ready
_SECOND_CHANCE = 60.0  # seconds in which all may yet become right after a fault
_AT_REST = 2  # servers at most; the others give faults something to strike
_QUIET = 20.0  # seconds, longer than the agent goes without a look
_NOTHING = Fault("nothing", lambda world, _: world.pass_time(_QUIET, _QUIET))


@dataclass(frozen=True)
class Outcome:
    """What came of one fault.

    Attributes:
        fault: its name.
        seconds: from its end until all was right.
        wrong: what was not right in time, or lost; None where all was well.
    """

    fault: str
    seconds: float
    wrong: str | None


class Run:
    """Strikes a world with random faults.

    Args:
        world: what is struck.
        say: told a line for each fault.
        faults: what may happen.
    """

    def __init__(self, world: World, say: Callable[[str], object], faults: Sequence[Fault] = FAULTS) -> None:
        self._world = world
        self._say = say
        self._faults = faults
        self._judge = Judge(world)
        self.outcomes: list[Outcome] = []

    def go(self, count: int) -> None:
        """Let so many faults happen, each after all is right again.

        Raises:
            AssertionError: the world does not recover, so no further fault can be judged.
        """
        self._begin(_FIRST)
        for number in range(1, count + 1):
            fault, victim = self._draw()
            struck_at = time.time()
            outcome = self._strike(fault, victim)
            self.outcomes.append(outcome)
            self._say(
                f"{number:4} {fault.name}, {victim.id}: {outcome.wrong or f'right after {outcome.seconds:.1f} s'}"
            )
            if outcome.wrong:
                self._say(self._world.deployment.agent.logs(since=struck_at).decode())
                self._go_on_after(victim)

    def rest(self) -> None:
        """Let nothing happen for a while, and judge that too: what comes late is seen."""
        self.outcomes.append(self._strike(_NOTHING, self._world.games[0]))
        self._say(f"nothing for {_QUIET:g} s: {self.outcomes[-1].wrong or 'all is right'}")

    def _go_on_after(self, victim: Game) -> None:
        """Where the victim does not become what it should be, make it anew: later faults are judged all the same."""
        try:
            self._begin(_SECOND_CHANCE)
        except AssertionError:
            victim.delete()
            self._world.provision(victim)
            self._begin(_SECOND_CHANCE)

    def _begin(self, within: float) -> None:
        self._await_right(within, spared=())
        self._lost_by(())

    def _draw(self) -> tuple[Fault, Game]:
        """Choose a fault, then somebody whom it can strike."""
        world = self._world
        crowded = len(world.games) - len(world.running()) >= _AT_REST
        possible = [
            (fault, games)
            for fault in self._faults
            if not (fault.rests and crowded)
            and (games := [game for game in world.games if world.wishes[game.id] in fault.needs])
        ]
        fault, games = world.random.choice(possible)
        return fault, world.random.choice(games)

    def _strike(self, fault: Fault, victim: Game) -> Outcome:
        began = time.monotonic()
        try:
            fault.strike(self._world, victim)
            began = time.monotonic()
            self._await_right(fault.within, fault.spares(fault.games, victim.id, list(self._world.wishes)))
            wrong = None
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported, and the run goes on
            wrong = str(error) or repr(error)
        seconds = time.monotonic() - began
        lost = self._lost_by(fault.spares(fault.packets, victim.id, list(self._world.wishes)))
        return Outcome(fault.name, seconds, wrong or lost)

    def _lost_by(self, spared: Sequence[str]) -> str | None:
        """Say how many packets were lost by players who should have noticed nothing; None where none was."""
        with ThreadPoolExecutor(len(self._world.players)) as pool:
            lost = pool.map(Player.count_lost, self._world.players)
        noticed = {
            game.id: packets
            for game, packets in zip(self._world.games, lost, strict=True)
            if packets and game.id in spared and game.id in self._world.running()
        }
        return f"packets lost: {noticed}" if noticed else None

    def _await_right(self, within: float, spared: Sequence[str]) -> None:
        wait_until(lambda: self._judge.assert_right(spared), within=within, saying="all is right again", every=0.2)
        self._judge.remember()


def table(outcomes: Sequence[Outcome]) -> str:
    """Return each fault with its count, the worst time until all was right, and how often it was not."""
    lines = [f"{'fault':50} count   worst  wrong"]
    for name in sorted({outcome.fault for outcome in outcomes}):
        of_it = [outcome for outcome in outcomes if outcome.fault == name]
        worst = max(outcome.seconds for outcome in of_it)
        lines.append(f"{name:50} {len(of_it):5} {worst:5.1f} s {sum(bool(outcome.wrong) for outcome in of_it):6}")
    return "\n".join(lines)
