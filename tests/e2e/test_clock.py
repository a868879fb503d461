"""The clock is set back an hour under a running agent: nobody's wish is mistaken, and what comes later sorts later."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.walk.deployment import Deployment, run
from tests.e2e.walk.life import Life, Step
from tests.waiting import wait_until

_HOUR = 3600


@pytest.fixture
def life() -> Iterator[Life]:
    """Return a server of an agent whose clock can be set."""
    deployment = Deployment()
    try:
        deployment.up(CLOCK="settable")
        yield Life(deployment, 50)
    finally:
        deployment.down()


def _do(life: Life, step: Step) -> dict[str, Any]:
    """Have something done; return its operation, once all is as it should be."""
    life.prepare(step)
    answer = life.ask(step)
    assert answer.status_code == 200, answer.text
    wait_until(lambda: life.is_right(step), within=20, saying=f"the {step} is done")
    operation: dict[str, Any] = life.deployment.status(life.id)["agent"]["operation"]
    return operation


def _phase(life: Life) -> str:
    return str(life.deployment.status(life.id)["agent"]["phase"])


def test_a_clock_set_back_changes_nothing(life: Life) -> None:
    """A restart and a stop of the agent's are its own, a stop by hand is respected, and operations keep their order."""
    before = _do(life, Step.PROVISION)
    life.deployment.set_clock_back(_HOUR)
    operations = [before, _do(life, Step.RESTART), _do(life, Step.STOP), _do(life, Step.START)]
    run("docker", "stop", life.id)
    wait_until(lambda: _phase(life) == "stopped_externally", within=30, saying="a stop by hand is respected")
    assert life.seen()["running"] == []
    operations.append(_do(life, Step.START))
    ids, times = ([operation[key] for operation in operations] for key in ("id", "startedAt"))
    assert ids == sorted(set(ids))
    assert times[1] < times[0], "the agent's clock was not set back"
    assert {operation["status"] for operation in operations} == {"succeeded"}
