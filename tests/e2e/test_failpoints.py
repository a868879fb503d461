"""The agent dies at every point at which it can: whatever was asked for comes about all the same, and once."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import count

import pytest
import requests

from core.failpoints import Failpoint as P
from tests.e2e.walk.deployment import Deployment
from tests.e2e.walk.life import AFTER, BEFORE, Life, State, Step, way
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(400)
_WITHIN = 20.0  # seconds from the agent's death to the outcome that was asked for

_ANY = {P.OPERATION_BEGUN, P.STEP_MARKED, P.RECORD_WRITTEN, P.OPERATION_ENDED}
_INSTANCE = {P.INSTANCE_MADE, P.CONFIG_FETCHED, P.INSTANCE_KEPT}
_COMPOSE = {P.COMPOSE_SPAWNED, P.COMPOSE_RECORDED, P.COMPOSE_FORGOTTEN}
_TUNNEL_STARTS = {P.DIGEST_WRITTEN, P.TUNNEL_SPAWNED, P.TUNNEL_RECORDED}
_TUNNEL_ENDS = {P.TUNNEL_ENDED, P.TUNNEL_FORGOTTEN}
_BOUNCE = _TUNNEL_STARTS | _TUNNEL_ENDS | {P.TUNNEL_BOUNCED, P.SERVER_WRITTEN}
_CLAIM = {P.CREDENTIALS_WRITTEN, P.GAME_CLAIMED, P.GAME_LOCKED}
_GONE = {P.DIRECTORY_TRASHED, P.DIRECTORY_REMOVED, P.CREDENTIALS_REMOVED} | {
    P.ROW_REMOVED,
    P.INSTANCE_REMOVED,
    P.ORPHAN_REMOVED,
}
_FILES = {P.COMPOSE_FILE_WRITTEN, P.CLIENT_CONFIG_WRITTEN}

REACHED = {
    Step.PROVISION: _ANY | _INSTANCE | _FILES | _COMPOSE | {P.COMPOSE_UP} | _BOUNCE,
    Step.CLAIM: _ANY | _INSTANCE | _FILES | _COMPOSE | {P.COMPOSE_UP} | _CLAIM | _TUNNEL_STARTS | {P.SERVER_WRITTEN},
    Step.RECONFIGURE: _ANY | {P.CLIENT_CONFIG_WRITTEN} | _TUNNEL_ENDS | _TUNNEL_STARTS,
    Step.FAIL: (_ANY - {P.OPERATION_ENDED}) | _INSTANCE | _FILES | _COMPOSE | {P.SERVER_WRITTEN} | _GONE,
    Step.STOP: _ANY | _TUNNEL_ENDS | {P.CONTAINER_STOPPED, P.SAVE_DONE},
    Step.RESTART: (_ANY - {P.RECORD_WRITTEN})
    | _TUNNEL_ENDS
    | {P.SAVE_DONE, P.CONTAINER_STOPPED}
    | _COMPOSE
    | {P.COMPOSE_UP}
    | _BOUNCE,
    Step.START: _ANY | _COMPOSE | {P.COMPOSE_UP} | _BOUNCE,
    Step.KILL: _ANY | _TUNNEL_ENDS | {P.CONTAINER_KILLED},
    Step.CLOSE: _ANY
    | _TUNNEL_ENDS
    | {P.INSTANCE_RELEASED, P.INSTANCE_REMOVED, P.ORPHAN_REMOVED, P.DIRECTORY_TRASHED, P.DIRECTORY_REMOVED},
    Step.DELETE: (_ANY - {P.OPERATION_ENDED}) | _TUNNEL_ENDS | {P.CONTAINER_KILLED, P.CONTAINER_REMOVED} | _GONE,
}
"""Which operation reaches what: shown by the first test, walked by the second."""

WALKED = (Step.PROVISION, Step.RECONFIGURE, Step.STOP, Step.START, Step.DELETE)
# Where these differ from the five that they are made of; all of it would only take longer.
ALSO = {
    Step.KILL: {P.CONTAINER_KILLED},
    Step.RESTART: {P.OPERATION_BEGUN, P.SAVE_DONE, P.TUNNEL_ENDED, P.CONTAINER_STOPPED, P.COMPOSE_UP},
    Step.FAIL: {P.INSTANCE_MADE, P.COMPOSE_FORGOTTEN, P.SERVER_WRITTEN, P.DIRECTORY_TRASHED, P.ROW_REMOVED},
}
ONCE_A_HOST = {P.NETWORK_MADE, P.NETWORK_JOINED, P.IMAGE_PULLED}
"""Not of a server: tests/e2e/nested/test_failpoints.py has the agent die there."""

_numbers = count(1)


class Walk:
    """A server that goes from state to state, and is given up for a new one where a test failed."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self.life = Life(deployment, next(_numbers))
        self.state: State | None = State.GONE
        self.seconds: dict[tuple[P, Step], float] = {}

    def bring_to(self, goal: State) -> None:
        """Have the server in this state, and at rest."""
        if self.state is None:
            self._deployment.disarm()
            self._deployment.mend_compose()
            self.life.ask(Step.DELETE)
            wait_until(lambda: self.life.is_right(Step.DELETE), within=30, saying="what a failed test left is gone")
            self.life, self.state = Life(self._deployment, next(_numbers)), State.GONE
        start, self.state = self.state, None
        for step in way(start, goal):
            answer = self.life.ask(step)
            assert answer.status_code == 200, answer.text
            wait_until(lambda step=step: self.life.is_right(step), within=30, saying=f"the {step} is done")
        self.state = goal

    def table(self) -> str:
        """Return the seconds from each death to the outcome that was asked for."""
        lines = (f"{seconds:5.1f} s  {step:12} {point}" for (point, step), seconds in self.seconds.items())
        return "\n".join(sorted(lines, reverse=True))


@pytest.fixture(scope="module")
def walk() -> Iterator[Walk]:
    """Return a server of an agent and an edge of its own."""
    deployment = Deployment()
    try:
        deployment.up()
        walk = Walk(deployment)
        yield walk
        print(walk.table())  # noqa: T201 - with -s or -rA: how long each recovery took
    finally:
        deployment.down()


def test_every_point_is_walked() -> None:
    """A failpoint that nothing reaches shows nothing."""
    assert set().union(*REACHED.values()) | ONCE_A_HOST == set(P)


@pytest.mark.parametrize("step", REACHED)
def test_the_table_says_what_is_reached(walk: Walk, step: Step) -> None:
    """No more and no less: so the walk below leaves out nothing."""
    deployment = walk.life.deployment
    walk.bring_to(BEFORE[step])
    walk.life.prepare(step)
    walk.state = None
    deployment.forget_trace()
    _assert_answered(walk.life.ask(step), step)
    wait_until(lambda: walk.life.is_right(step), within=_WITHIN, saying=f"the {step} is done")
    wait_until(lambda: _is_traced(deployment, step), within=5, saying=f"{step} reaches what the table says")
    walk.life.finish(step)
    walk.state = AFTER[step]


def _assert_answered(answer: requests.Response, step: Step) -> None:
    assert answer.status_code == (502 if step is Step.FAIL else 200), answer.text


def _is_traced(deployment: Deployment, step: Step) -> bool:
    trace = set(deployment.trace())
    assert trace == REACHED[step], f"not reached: {REACHED[step] - trace}, beyond the table: {trace - REACHED[step]}"
    return True


# From state to state by the shortest way.
_ORDER = [Step.FAIL, Step.PROVISION, Step.CLAIM, Step.RECONFIGURE, Step.CLOSE, Step.OPEN]
_ORDER += [Step.RESTART, Step.STOP, Step.KILL, Step.START, Step.DELETE]


def _cases(point: P) -> list[Step]:
    """The operations to die in at this point: the five, and another where it is the only one to reach it."""
    five = [s for s in WALKED if point in REACHED[s]] or [s for s in REACHED if point in REACHED[s]]
    return sorted({*five, *(s for s, points in ALSO.items() if point in points)}, key=_ORDER.index)


@pytest.mark.parametrize("point", sorted(set(P) - ONCE_A_HOST))
def test_dying_there_costs_nothing(walk: Walk, point: P) -> None:
    """Within 20 s all is as was asked for, once, in each operation that comes there, in the order of a life."""
    for step in _cases(point):
        _die_and_recover(walk, point, step)


def _die_and_recover(walk: Walk, point: P, step: Step) -> None:
    """Die in the midst of a step; the caller comes again at once, or only when all is done."""
    walk.bring_to(BEFORE[step])
    life, deployment = walk.life, walk.life.deployment
    life.prepare(step)
    walk.state = None
    caller = _ask_and_die(life, step, point)
    died_at = time.monotonic()
    if (list(P).index(point) + list(Step).index(step)) % 2:
        _assert_done(life, step)
    left = died_at + _WITHIN - time.monotonic()
    wait_until(lambda: life.is_right(step), within=left, saying=f"the {step} came about, though the agent died")
    walk.seconds[point, step] = time.monotonic() - died_at
    _assert_done(life, step)
    caller.join(10)
    assert point in deployment.trace()
    wait_until(lambda: life.is_right(step), within=_WITHIN, saying="the caller who came again changed nothing")
    life.finish(step)
    walk.state = AFTER[step]


def _ask_and_die(life: Life, step: Step, point: P) -> threading.Thread:
    """Return the caller, whose connection broke, or who was answered just before."""
    deployment = life.deployment

    def ask() -> None:
        with suppress(requests.ConnectionError):
            life.ask(step)

    caller = threading.Thread(target=ask, daemon=True)
    deployment.arm(point)
    try:
        caller.start()
        wait_until(lambda: point in deployment.trace(), within=_WITHIN, saying=f"the {step} reaches {point}")
    finally:
        deployment.disarm()
    return caller


def _assert_done(life: Life, step: Step) -> None:
    """A caller who asks again gets the finished thing, not a conflict."""
    _assert_answered(life.ask(step), step)
    if step is Step.RECONFIGURE:
        assert life.has_config()
