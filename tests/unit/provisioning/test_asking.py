"""The manager is asked: with whose token, by whom that waits, and what is said of it."""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.errors import ManagerFailed
from core.models import TunnelReason, TunnelState
from provisioning.asker import Asker
from provisioning.behind import Behind
from tests.fakes.world import Agent, World, spec
from tests.waiting import wait_until

ID = "srv_a_00000001"
TOKEN = "jwt-of-a-user"
AWAY = ManagerFailed("manager_unreachable", "The manager takes no connection.")


@pytest.fixture
def refused(world: World, agent: Agent) -> Agent:
    """Return an agent whose one game runs without a tunnel, for want of a token."""
    world.manager.needs = TOKEN
    assert agent.servers.spawn(spec()).tunnel.reason is TunnelReason.AUTH_REFUSED
    return agent


def asked(world: World) -> int:
    """Return how often the manager was asked for an instance."""
    return world.manager.calls.count(f"create {ID}")


def test_the_same_spawn_with_a_token_takes_a_refused_tunnel_up(world: World, refused: Agent) -> None:
    """It is answered with the server as it is then."""
    view = refused.servers.spawn(spec(), TOKEN)
    assert view.tunnel.state is TunnelState.UP
    assert world.count(f"up {ID}") == 1


def test_the_same_spawn_of_a_stopped_server_runs_nothing(world: World, refused: Agent) -> None:
    """What an operator stopped stays so."""
    refused.servers.stop(ID)
    refused.servers.spawn(spec(), TOKEN)
    assert not world.engine.alive(ID)


def test_a_token_is_there_before_anybody_can_ask_without_it(
    world: World, refused: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keeper that looks the moment that an operation is written down asks with its token."""
    begin, before = refused.operations.begin, asked(world)

    def begin_and_wait(*words: Any, **more: Any) -> object:  # noqa: ANN401 - passed on
        operation = begin(*words, **more)
        refused.reconciler.wake(ID)
        wait_until(lambda: asked(world) > before, within=5, saying="the manager is asked")
        return operation

    monkeypatch.setattr(refused.operations, "begin", begin_and_wait)
    refused.servers.start(ID, TOKEN)
    world.reached()
    assert set(world.manager.tokens[before:]) == {TOKEN}


def held_behind(world: World, agent: Agent, meanwhile: Callable[[], object]) -> None:
    """Let the agent ask on its own, and something else happen before the manager answers."""
    before = asked(world)
    with world.manager.lock:
        world.later += 61
        agent.reconciler.wake(ID)
        keeper = agent.reconciler._keepers[ID]
        wait_until(keeper._behind.is_busy, within=5, saying="the manager is about to be asked")
        meanwhile()
    wait_until(lambda: asked(world) > before, within=5, saying="the manager is asked")


def test_a_slow_manager_holds_nobody_up(world: World, agent: Agent) -> None:
    """It is asked on the agent's own account; a stop and a start go on meanwhile."""
    world.manager.fault = AWAY
    agent.servers.spawn(spec())
    world.manager.fault = None
    began = time.monotonic()
    held_behind(world, agent, lambda: agent.servers.stop(ID))
    assert time.monotonic() - began < 5
    assert not world.engine.alive(ID)
    agent.servers.start(ID)
    world.reached()


def test_a_refusal_that_comes_late_does_not_count_against_a_user(world: World, refused: Agent) -> None:
    """The agent had asked without a token; he came with his before the answer."""
    with ThreadPoolExecutor(1) as pool:
        calls = []
        held_behind(world, refused, lambda: calls.append(_begun(refused, pool)))
        calls[0].result(5)
    world.reached()


def _begun(agent: Agent, pool: ThreadPoolExecutor) -> Any:  # noqa: ANN401 - a future of a view
    call = pool.submit(agent.servers.start, ID, TOKEN)
    wait_until(lambda: agent.operations.current(ID), within=5, saying="the operation is written down")
    return call


def test_an_answer_to_an_earlier_question_takes_no_wish_back(world: World, refused: Agent) -> None:
    """Whoever asks for something between question and answer has the manager asked again at once."""
    instances = refused.hands.instances
    early = threading.Thread(target=instances.ask, args=(refused.row(), Asker()))
    with world.manager.lock:
        early.start()
        wait_until(instances._of(ID).lock.locked, within=5, saying="the question is under way")
        instances.retry_now(ID)
    early.join()
    assert instances.due(ID)
    assert instances.fault(ID) is None


def test_what_is_done_behind_fails_in_the_log_only() -> None:
    """Whoever is to be told is told all the same, and the next thing is done."""
    done = threading.Semaphore(0)
    behind = Behind("a test", done.release)

    def fail() -> None:
        raise OSError("a fault of ours")

    with capture_logs() as lines:
        for _ in range(2):
            behind.begin(fail)
            assert done.acquire(timeout=5)
            wait_until(lambda: not behind.is_busy(), within=5, saying="it has ended")
    assert len(lines) == 2


def test_one_thing_is_done_behind_at_a_time() -> None:
    """Another one is left to the next pass."""
    gate, count = threading.Event(), []
    behind = Behind("a test", lambda: None)
    behind.begin(lambda: count.append(gate.wait(5)))
    behind.begin(lambda: count.append(False))
    gate.set()
    wait_until(lambda: not behind.is_busy(), within=5, saying="it has ended")
    assert count == [True]


def test_what_is_asked_again_and_again_is_said_once(world: World, agent: Agent) -> None:
    """While the VPS does not know the instance the manager is asked each 15 s; that is one sentence."""
    agent.servers.spawn(spec())
    world.tunnels.reasons[ID] = TunnelReason.SERVICE_UNKNOWN
    with capture_logs() as lines:
        for _ in range(3):
            before, world.later = asked(world), world.later + 16
            wait_until(lambda before=before: _wake(agent) and asked(world) > before, within=5, saying="it is asked")
    assert len([line for line in lines if "does not know" in line["event"]]) == 1


def _wake(agent: Agent) -> bool:
    agent.reconciler.wake(ID)
    return True


def test_a_vps_that_is_built_anew_is_noticed(world: World, agent: Agent) -> None:
    """Nothing of the old one listens; after 5 s of that its manager is asked, and makes the instance again."""
    agent.servers.spawn(spec())
    world.manager.instances.clear()
    world.tunnels.reasons[ID] = TunnelReason.VPS_UNREACHABLE
    world.later += 16
    agent.reconciler.wake(ID)
    keeper = agent.reconciler._keepers[ID]
    wait_until(lambda: not keeper._wake.is_set(), within=5, saying="it is looked at")
    assert world.manager.instances == {}
    world.tunnels.down_since[ID] = world.clock() - 5
    wait_until(lambda: _wake(agent) and ID in world.manager.instances, within=5, saying="the instance is there again")


def test_an_orphan_that_stays_is_said_once(world: World, agent: Agent) -> None:
    """It is tried again and again; another reason is said again."""
    agent.servers.spawn(spec())
    agent.servers.delete(ID)
    with capture_logs() as lines:
        for fault in (AWAY, AWAY, ManagerFailed("auth_refused", "The manager refuses the token."), AWAY):
            world.manager.fault = fault
            agent.hands.instances.step()
    assert [line["why"] for line in lines if "keeps an instance" in line["event"]] == [
        "The manager takes no connection.",
        "The manager refuses the token.",
        "The manager takes no connection.",
    ]


def test_an_id_that_comes_back_in_another_case_leaves_no_instance_behind(world: World, agent: Agent) -> None:
    """To the manager these are two ids, and the ports of the first would stay taken."""
    agent.servers.spawn(spec())
    agent.servers.delete(ID)
    agent.servers.spawn(spec(ID.upper()))
    agent.hands.instances.step()
    assert set(world.manager.instances) == {ID.upper()}


def test_a_manager_that_is_away_is_asked_for_one_orphan_at_a_time(world: World, agent: Agent) -> None:
    """Each question takes its whole timeout, and a loop that takes minutes looks like a dead one."""
    others = [spec(f"srv_{letter}_00000001", port) for letter, port in zip("bcd", range(30100, 30103), strict=True)]
    for other in others:
        agent.servers.spawn(other)
        agent.servers.delete(other.server_id)
    world.manager.fault, before = AWAY, len(world.manager.calls)
    agent.hands.instances.step()
    assert len(world.manager.calls) == before + 1
    world.manager.fault = None
    agent.hands.instances.step()
    assert world.manager.instances == {}


def test_the_record_of_a_stopped_server_says_so(world: World, agent: Agent) -> None:
    """A store that is built again from it must not run what an operator stopped."""
    agent.servers.spawn(spec())
    agent.servers.stop(ID)
    assert json.loads(world.layout.record(ID).read_text())["container_wanted"] is False


def test_a_game_that_does_not_run_waits_for_the_answer(world: World, agent: Agent) -> None:
    """The manager may name other ports; a game that is started before must be ended again to follow them."""
    world.manager.fault = AWAY
    agent.servers.spawn(spec())
    world.manager.fault, world.manager.shift = None, 10000
    agent.reconciler.stop()
    world.engine.remove(ID)
    following = world.boot()
    wait_until(lambda: world.engine.alive(ID), within=5, saying="it runs")
    assert following.row().public_ports == world.engine.containers[ID].ports
    assert world.count(f"up {ID}") == 2
