"""Many callers at one moment: the same wish is one server, and different servers do not wait for each other."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import requests

from core.failpoints import Failpoint
from tests.e2e.walk.deployment import Deployment
from tests.e2e.walk.life import Life, Step
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(300)
_TOGETHER = 20
_SLOW = 8.0  # seconds that `docker compose` takes where a test wants it slow


@pytest.fixture(scope="module")
def deployment() -> Iterator[Deployment]:
    """Return an agent and an edge of these tests' own."""
    deployment = Deployment()
    try:
        deployment.up()
        yield deployment
    finally:
        deployment.down()


@pytest.fixture(autouse=True)
def _nothing_left(deployment: Deployment) -> Iterator[None]:
    """Delete whatever a test made, and see that nothing of it is left."""
    yield
    deployment.disarm()
    rows = deployment.snapshot()["rows"]
    with ThreadPoolExecutor(_TOGETHER) as pool:
        list(pool.map(lambda row: deployment.call("DELETE", f"/api/containers/{row}/delete"), rows))
    life = Life(deployment, 0)
    wait_until(lambda: life.is_right(Step.DELETE), within=60, saying="all that the test made is gone")


def test_two_callers_with_one_wish_get_one_server(deployment: Deployment) -> None:
    """Both get the same answer: the same container, the same ports, no conflict."""
    life = Life(deployment, 1)
    with ThreadPoolExecutor(2) as pool:
        answers = [task.result() for task in [pool.submit(life.ask, Step.PROVISION) for _ in range(2)]]
    assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
    first, second = [answer.json() for answer in answers]
    for key in ("serverId", "containerId", "gamePort", "beaconPort"):
        assert first[key] == second[key]
    wait_until(lambda: life.is_right(Step.PROVISION), within=30, saying="there is one server")


def test_two_callers_with_one_id_and_two_wishes_do_not_mix(deployment: Deployment) -> None:
    """One of them is provisioned, the other is told that there is another."""
    life = Life(deployment, 2)
    with ThreadPoolExecutor(2) as pool:
        tasks = [pool.submit(life.ask, step) for step in (Step.PROVISION, Step.CLAIM)]
    assert sorted(task.result().status_code for task in tasks) == [200, 409]


def test_twenty_spawns_at_once_all_succeed(deployment: Deployment) -> None:
    """Though the manager serves one at a time: each gets a container, a tunnel, an instance and its ports."""
    lives = {life.id: life for life in (Life(deployment, number) for number in range(10, 10 + _TOGETHER))}
    with ThreadPoolExecutor(_TOGETHER) as pool:
        answers = list(pool.map(lambda life: life.ask(Step.PROVISION), lives.values()))
    assert [answer.text for answer in answers if answer.status_code != 200] == []
    found = deployment.snapshot()
    assert sorted(deployment.games()) == found["clients"] == sorted(found["rows"]) == sorted(lives)
    assert found["ports"] == sorted(port for life in lives.values() for port in (*life.ports, life.ports[0]))
    assert {life.instance_status() for life in lives.values()} == {200}


def test_a_slow_server_holds_up_no_other(deployment: Deployment) -> None:
    """While one container takes its time, another server is provisioned from its beginning to its end."""
    slow, quick = Life(deployment, 3), Life(deployment, 4)
    deployment.slow_compose(slow.id, _SLOW)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(slow.ask, Step.PROVISION)
        _wait_until_composed(slow)
        assert quick.ask(Step.PROVISION).status_code == 200
        assert not answer.done()
        assert answer.result().status_code == 200


def test_an_orphaned_compose_is_waited_for_and_holds_up_no_other(deployment: Deployment) -> None:
    """The agent dies while `docker compose up` runs: its successor lets that end, and sees to the others meanwhile."""
    orphaned, quick = Life(deployment, 5), Life(deployment, 6)
    deployment.slow_compose(orphaned.id, _SLOW)
    deployment.arm(Failpoint.COMPOSE_RECORDED)
    caller = threading.Thread(target=_ask_in_vain, args=(orphaned,), daemon=True)
    caller.start()
    wait_until(lambda: Failpoint.COMPOSE_RECORDED in deployment.trace(), within=20, saying="the agent dies")
    deployment.disarm()
    died_at = time.monotonic()
    assert quick.ask(Step.PROVISION).status_code == 200
    if time.monotonic() - died_at < _SLOW / 2:  # where this machine was quick enough to tell
        assert deployment.games() == [quick.id]
    assert orphaned.ask(Step.PROVISION).status_code == 200
    assert deployment.trace()[Failpoint.COMPOSE_SPAWNED] == 2
    caller.join(10)


def _wait_until_composed(life: Life) -> None:
    def composed() -> bool:
        return any(life.id in words for words in life.deployment.snapshot()["composes"])

    wait_until(composed, within=20, saying="docker compose runs")


def _ask_in_vain(life: Life) -> None:
    with suppress(requests.ConnectionError):
        life.ask(Step.PROVISION)
