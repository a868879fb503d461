"""What happens meanwhile: calls that meet, worlds that fail, agents that die, and people who do things by hand."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from compose.network import NETWORK
from core.errors import AgentError, ComposeFailed, Conflict, ManagerFailed, StoreFailed
from core.failpoints import Failpoint
from core.models import OperationKind, OperationStatus, Phase, TunnelReason
from provisioning import actions, keeper, servers
from tests.fakes.world import Agent, World, spec
from tests.waiting import wait_until

ID = "srv_a_00000001"
NO_SPACE = ComposeFailed("no_space", "The disk is full; free some space.")


@pytest.fixture
def pool() -> ThreadPoolExecutor:
    """Return callers that may wait."""
    return ThreadPoolExecutor(4)


@pytest.fixture
def gate(world: World) -> threading.Event:
    """Hold the start of the usual server back until it is set."""
    world.compose.gates[ID] = threading.Event()
    return world.compose.gates[ID]


def begun(world: World) -> None:
    """Wait until the usual server is about to be started."""
    wait_until(lambda: ID in world.compose.began, within=5, saying="`up` begins")


def error_of(waiting: Future[Any]) -> AgentError:
    """Return what a caller got."""
    error = waiting.exception(timeout=5)
    assert isinstance(error, AgentError)
    return error


def test_other_calls_wait_for_nothing(
    world: World, agent: Agent, gate: threading.Event, pool: ThreadPoolExecutor
) -> None:
    """They are refused with kind and id of what runs; other servers are not held up."""
    first = pool.submit(agent.servers.spawn, spec())
    begun(world)
    for call in (agent.servers.start, agent.servers.stop, agent.servers.restart):
        with pytest.raises(Conflict) as refused:
            call(ID)
        running = agent.operations.current(ID)
        assert running
        assert refused.value.code == "operation_in_progress"
        assert refused.value.details["kind"] == "provision"
        assert refused.value.details["operation"] == running.operation_id
    assert agent.servers.view(ID).phase is Phase.PROVISIONING
    assert agent.servers.spawn(spec("srv_b_00000002", 30002)).container
    joined = pool.submit(agent.servers.spawn, spec())
    gate.set()
    assert first.result(5).container == joined.result(5).container


def test_delete_supersedes_what_runs(
    world: World, agent: Agent, gate: threading.Event, pool: ThreadPoolExecutor
) -> None:
    """It is never refused; who waited for the spawn is told, and nothing is left."""
    spawning = pool.submit(agent.servers.spawn, spec())
    begun(world)
    deleting = pool.submit(agent.servers.delete, ID)
    assert error_of(spawning).code == "superseded"
    assert agent.servers.view(ID).phase is Phase.DELETING
    for call in (agent.servers.start, agent.servers.kill):
        with pytest.raises(Conflict):
            call(ID)
    gate.set()
    deleting.result(5)
    world.nothing_left()


def test_what_a_superseded_operation_failed_at_counts_no_more(
    world: World, agent: Agent, gate: threading.Event, pool: ThreadPoolExecutor
) -> None:
    """The delete that superseded a failing start is neither called back nor told the start's error."""
    gate.set()
    agent.servers.spawn(spec())
    agent.servers.stop(ID)
    gate.clear()
    world.compose.began.clear()
    world.compose.fault = NO_SPACE
    starting = pool.submit(agent.servers.start, ID)
    begun(world)
    deleting = pool.submit(agent.servers.delete, ID)
    assert error_of(starting).code == "superseded"
    gate.set()
    deleting.result(5)
    world.nothing_left()


def test_kill_passes(world: World, agent: Agent, gate: threading.Event, pool: ThreadPoolExecutor) -> None:
    """It is for what hangs: the server stays stopped after it."""
    spawning = pool.submit(agent.servers.spawn, spec())
    begun(world)
    killing = pool.submit(agent.servers.kill, ID)
    assert error_of(spawning).code == "superseded"
    gate.set()
    assert killing.result(5).phase is Phase.STOPPED
    assert not world.engine.alive(ID)


def test_a_spawn_waits_for_a_delete_that_frees_its_ports(
    world: World, agent: Agent, gate: threading.Event, pool: ThreadPoolExecutor
) -> None:
    """The orchestrator gives the ports of a deleted server to the next one at once."""
    spawning = pool.submit(agent.servers.spawn, spec())
    begun(world)
    deleting = pool.submit(agent.servers.delete, ID)
    assert error_of(spawning).code == "superseded"
    following = pool.submit(agent.servers.spawn, spec("srv_b_00000002"))
    again = pool.submit(agent.servers.spawn, spec(ID, 30100))
    gate.set()
    deleting.result(5)
    assert following.result(5).container
    assert again.result(5).container


# Whoever waits is told.


def test_an_unexpected_fault_is_told_and_the_keeper_goes_on(world: World, agent: Agent) -> None:
    """A provision is undone with it; the traceback is in the log, and the server's loop lives."""
    world.compose.fault = TypeError("a fault of ours")
    with capture_logs() as lines, pytest.raises(AgentError) as failed:
        agent.servers.spawn(spec())
    assert failed.value.code == "internal_error"
    assert any(line.get("exc_info") for line in lines)
    world.nothing_left()
    world.compose.fault = None
    assert agent.servers.spawn(spec()).container


def test_an_unexpected_fault_of_a_start_ends_it(world: World, agent: Agent) -> None:
    """The next call is not refused because of it, and meanwhile the keeper tries again."""
    agent.servers.spawn(spec())
    agent.servers.stop(ID)
    world.compose.fault = TypeError("a fault of ours")
    with pytest.raises(AgentError) as failed:
        agent.servers.start(ID)
    assert failed.value.code == "internal_error"
    assert agent.servers.view(ID).phase is Phase.FAILED
    world.compose.fault = None
    assert agent.servers.start(ID).phase is Phase.STARTING
    assert agent.row().failure_code is None


def test_a_plan_without_end_is_told(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the plan spins neither the keeper nor whoever waits."""
    agent.servers.spawn(spec())
    monkeypatch.setattr(keeper, "plan", lambda *_: {actions.Action.STOP_TUNNEL})
    with pytest.raises(AgentError) as failed:
        agent.servers.restart(ID)
    assert failed.value.code == "internal_error"


def test_a_start_that_fails_goes_on_behind_the_caller_s_back(world: World, agent: Agent) -> None:
    """He has the error, the view has it too until the game runs, and a retry is not said again and again."""
    agent.servers.spawn(spec())
    agent.servers.stop(ID)
    world.compose.fault = NO_SPACE
    with capture_logs() as lines:
        with pytest.raises(ComposeFailed):
            agent.servers.start(ID)
        for _ in range(3):
            agent.reconciler.wake(ID, urgent=True)
            wait_until(lambda: agent.servers.view(ID).reason == "no_space", within=5, saying="the view says why")
    assert len([line for line in lines if line["log_level"] == "warning"]) == 1
    world.compose.fault = None
    agent.reconciler.wake(ID, urgent=True)
    world.reached()
    wait_until(lambda: agent.row().failure_code is None, within=5, saying="the failure is forgotten")


def stuck(_folder: Path) -> None:
    """Fail to remove a folder."""
    raise StoreFailed("directory_not_removed", "Cannot remove it: Device or resource busy.")


def test_a_delete_that_cannot_be_finished_is_told_and_goes_on(
    world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller does not wait for ever; it is never given up, and done once that is possible."""
    agent.servers.spawn(spec())
    with monkeypatch.context() as patched:
        patched.setattr(actions, "remove_tree", stuck)
        for _ in range(2):  # the second joins, and waits for an answer of its own
            with pytest.raises(StoreFailed):
                agent.servers.delete(ID)
        assert agent.servers.view(ID).phase is Phase.DELETING
    agent.servers.delete(ID)
    world.nothing_left()


def test_an_undo_that_cannot_be_finished_tells_what_made_it_undo(
    world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again with a pause in between, and the operation ends with the first cause."""
    world.compose.fault = NO_SPACE
    tries = []

    def stuck_and_counted(folder: Path) -> None:
        tries.append(folder)
        stuck(folder)

    with monkeypatch.context() as patched:
        patched.setattr(actions, "remove_tree", stuck_and_counted)
        with pytest.raises(ComposeFailed) as failed:
            agent.servers.spawn(spec())
        assert failed.value is NO_SPACE
        assert len(tries) < 5
    agent.reconciler.wake(ID)
    wait_until(lambda: agent.hands.servers.get(ID) is None, within=5, saying="it is undone")
    ended = agent.operations.last(ID)
    assert ended
    assert (ended.status, ended.error_code) == (OperationStatus.FAILED, "no_space")


def test_a_store_that_takes_no_word_is_told(world: World, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk keeps neither the operation's end nor the failure; the caller hears of it all the same."""
    agent.servers.spawn(spec())
    full = StoreFailed("store_failed", "The store cannot be used: database or disk is full.")

    def refuse(*_: object, **__: object) -> None:
        raise full

    with monkeypatch.context() as patched:
        patched.setattr(agent.operations, "at_step", refuse)
        patched.setattr(agent.hands.servers, "update", refuse)
        operation = agent.operations.begin(ID, OperationKind.STOP, lambda: world_wish(agent))
        agent.reconciler.wake(ID, urgent=True)
        with pytest.raises(StoreFailed, match="disk is full"):
            agent.operations.wait(operation, 5)
    agent.reconciler.wake(ID, urgent=True)
    wait_until(lambda: not world.engine.alive(ID), within=10, saying="it goes on when there is room")


def test_who_asks_again_is_not_told_what_failed_before(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spawn that a full disk held up goes on when there is room, and the next one waits for that."""
    full = StoreFailed("store_failed", "The store cannot be used: database or disk is full.")

    def refuse(*_: object, **__: object) -> None:
        raise full

    with monkeypatch.context() as patched:
        patched.setattr(agent.operations, "at_step", refuse)
        patched.setattr(agent.hands.servers, "update", refuse)
        with pytest.raises(StoreFailed, match="disk is full"):
            agent.servers.spawn(spec())
    assert agent.servers.spawn(spec()).container


def world_wish(agent: Agent) -> None:
    """Write down that the game shall stop, past a store that is made to refuse."""
    agent.store.change(Failpoint.SERVER_WRITTEN, "UPDATE servers SET container_wanted = 0")


def test_an_operation_without_end_is_not_waited_for(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller gets its id and may ask for the status."""
    monkeypatch.setattr(servers, "_PATIENCE", 0.01)
    monkeypatch.setattr(agent.reconciler, "wake", lambda *_, **__: None)
    with pytest.raises(AgentError) as late:
        agent.servers.spawn(spec())
    running = agent.operations.current(ID)
    assert running
    assert late.value.details["operation"] == running.operation_id


# An agent dies, the next goes on.


@pytest.mark.parametrize("wanted", [True, False], ids=["provision", "delete"])
def test_an_open_operation_outlives_the_agent(world: World, *, wanted: bool) -> None:
    """A new agent on the same store ends what its predecessor had only written down."""
    dead = world.boot(start=False)
    dead.operations.begin(ID, OperationKind.PROVISION, lambda: dead.hands.servers.add(spec()))
    if not wanted:
        dead.operations.begin(ID, OperationKind.DELETE, lambda: dead.hands.servers.update(ID, deleting=True))
    agent = world.boot()
    wait_until(lambda: agent.operations.current(ID) is None, within=5, saying="the operation ends")
    ended = agent.operations.last(ID)
    assert ended
    assert ended.status is OperationStatus.SUCCEEDED
    if wanted:
        world.reached()
        assert agent.servers.spawn(spec()).container
        assert world.count(f"up {ID}") == 1
    else:
        world.nothing_left()


def test_an_undo_outlives_the_agent(world: World) -> None:
    """The operation ends with the code that its first agent had written down."""
    dead = world.boot(start=False)
    dead.operations.begin(ID, OperationKind.PROVISION, lambda: dead.hands.servers.add(spec()))
    dead.hands.servers.update(ID, deleting=True, failure_code="no_space", failure_message="The disk is full.")
    agent = world.boot()
    wait_until(lambda: agent.operations.current(ID) is None, within=5, saying="the operation ends")
    ended = agent.operations.last(ID)
    assert ended
    assert (ended.error_code, ended.error_message) == ("no_space", "The disk is full.")
    world.nothing_left()


def test_what_runs_is_left_alone_by_a_new_agent(world: World, agent: Agent) -> None:
    """Neither game nor tunnel is touched, and what was stopped stays so."""
    agent.servers.spawn(spec())
    agent.servers.spawn(spec("srv_b_00000002", 30002))
    agent.servers.stop("srv_b_00000002")
    agent.reconciler.stop()
    did, tunnelled = list(world.engine.did), list(world.tunnels.did)
    following = world.boot()
    wait_until(lambda: len(looked_at(following)) == 2, within=5, saying="both were looked at")
    following.reconciler.stop()
    assert (world.engine.did, world.tunnels.did) == (did, tunnelled)


def looked_at(agent: Agent) -> list[str]:
    """Return the servers that were seen."""
    return [view.server_id for view in agent.servers.views() if view.observed_at]


def test_orphans_are_taken_off_when_the_manager_is_back(world: World, agent: Agent) -> None:
    """Also by a later agent; a new server of the id has the old instance removed first."""
    agent.servers.spawn(spec())
    agent.servers.delete(ID)
    world.manager.fault = ManagerFailed("manager_unreachable", "The manager takes no connection.")
    agent.hands.instances.step()
    assert ID in world.manager.instances
    world.manager.fault = None
    agent.reconciler.stop()
    following = world.boot()
    following.servers.spawn(spec(ID, 30500))
    assert world.manager.instances[ID].game == 30500
    following.hands.instances.step()
    assert ID in world.manager.instances


def test_a_twin_of_the_network_is_removed_before_a_game_is_made(world: World, agent: Agent) -> None:
    """Compose would refuse the name as ambiguous, and the spawn would be undone."""
    for _ in range(2):
        world.engine.create_network(NETWORK, {})
    agent.servers.spawn(spec())
    assert len(world.engine.networks(NETWORK)) == 1
    assert world.engine.alive(ID)


# People do things by hand.


def by_hand(agent: Agent, do: Callable[[], None]) -> None:
    """Do something behind the agent's back, of which Docker tells it, and of nothing else."""
    agent.events._since_ns = time.time_ns()
    do()
    agent.events.step()


def stop_by_hand(world: World) -> None:
    """Run `docker stop`."""
    world.engine.end(ID, "kill", "die", "stop")


def test_a_game_stopped_by_hand_stays_so_until_the_next_start(world: World, agent: Agent) -> None:
    """It is shown, and `start` takes it up again."""
    world.games.answering.add(ID)  # else it is looked at each second, and might be seen before Docker tells of it
    agent.servers.spawn(spec())
    by_hand(agent, lambda: stop_by_hand(world))
    wait_until(lambda: not agent.reconciler.last_look(ID).seen.is_alive, within=5, saying="it is seen")  # type: ignore[union-attr]
    assert agent.servers.view(ID).phase is Phase.STOPPED_EXTERNALLY
    assert agent.servers.start(ID).phase is Phase.READY


def test_a_stop_by_hand_that_is_seen_before_it_is_told_is_respected(world: World, agent: Agent) -> None:
    """A keeper that looks between the container's end and Docker's telling of it asks, and starts nothing."""
    agent.servers.spawn(spec())
    for _ in range(10):
        stop_by_hand(world)
        agent.reconciler.wake(ID)
        wait_until(lambda: agent.servers.view(ID).phase is Phase.STOPPED_EXTERNALLY, within=5, saying="it is known")
        assert agent.servers.start(ID).phase is Phase.STARTING
    assert world.count(f"up {ID}") == 11


def test_a_container_that_is_being_removed_is_waited_for(world: World, agent: Agent) -> None:
    """Compose cannot start it, and fails to make another under its name."""
    agent.servers.spawn(spec())
    world.engine.end(ID, "kill", "die")
    world.engine.containers[ID] = replace(world.engine.containers[ID], status="removing")
    with capture_logs() as lines:
        agent.reconciler.wake(ID)
        threading.Timer(0.5, lambda: world.engine.containers.pop(ID)).start()
        wait_until(lambda: world.engine.alive(ID), within=5, saying="it is made anew")
    assert [line["event"] for line in lines if line.get("step") == "up"] == [
        "There is no container though one shall run; it is made."
    ]


def test_a_game_started_again_by_hand_is_wanted_again(world: World, agent: Agent) -> None:
    """With its tunnel."""
    world.games.answering.add(ID)  # else it is looked at each second, and might be seen before Docker tells of it
    agent.servers.spawn(spec())
    by_hand(agent, lambda: stop_by_hand(world))
    wait_until(lambda: ID not in world.tunnels.running, within=5, saying="its tunnel ends")
    by_hand(agent, lambda: world.engine.run(ID, spec().ports))
    world.reached()
    wait_until(lambda: not agent.row().stopped_externally, within=5, saying="it is wanted again")


def test_a_game_that_ended_by_itself_is_run_again(world: World, agent: Agent) -> None:
    """Docker tells of its death without a kill before it: nobody stopped it."""
    agent.servers.spawn(spec())
    by_hand(agent, lambda: world.engine.end(ID, "die"))
    wait_until(lambda: world.engine.alive(ID), within=5, saying="it runs again")
    assert not agent.row().stopped_externally


def test_our_own_stops_are_not_taken_for_somebody_s(agent: Agent) -> None:
    """Docker tells of them in the same words."""
    agent.servers.spawn(spec())
    agent.servers.restart(ID)
    agent.servers.kill(ID)
    agent.servers.start(ID)
    agent.events.step()
    assert not agent.row().stopped_externally


@pytest.mark.parametrize("what", ["container", "compose file", "client.toml", "network", "image", "tunnel"])
def test_what_is_removed_by_hand_is_mended(world: World, agent: Agent, what: str) -> None:
    """Without a request, and the game is reached again in the end."""
    agent.servers.spawn(spec())
    remove = {
        "container": lambda: (stop_by_hand(world), world.engine.containers.pop(ID)),
        "compose file": lambda: (
            stop_by_hand(world),
            world.engine.containers.pop(ID),
            world.layout.compose_file(ID).unlink(),
        ),
        "client.toml": lambda: world.layout.client_config(ID).unlink(),
        "network": lambda: (world.engine.end(ID, "die"), world.engine.present.clear()),
        "image": lambda: (world.engine.end(ID, "die"), world.engine.images.clear()),
        "tunnel": lambda: world.tunnels.stop(ID),
    }
    remove[what]()
    agent.reconciler.wake(ID)
    wait_until(lambda: is_whole(world), within=5, saying="the game is reached again")


def is_whole(world: World) -> bool:
    """Whether the usual server runs on the present network, with its tunnel and its files."""
    files = (world.layout.client_config(ID), world.layout.compose_file(ID))
    on_network = world.engine.containers[ID].network_ids == {"satis_network": world.engine.present[-1].id}
    return on_network and world.engine.alive(ID) and ID in world.tunnels.running and all(map(Path.exists, files))


def test_an_instance_that_the_vps_forgot_is_asked_for_again(world: World, agent: Agent) -> None:
    """Not before 15 s have passed since it was last asked for."""
    agent.servers.spawn(spec())
    world.tunnels.reasons[ID] = TunnelReason.SERVICE_UNKNOWN
    asked = world.manager.calls.count(f"create {ID}")
    agent.reconciler.wake(ID)
    world.later += 16
    agent.reconciler.wake(ID)
    wait_until(lambda: world.manager.calls.count(f"create {ID}") == asked + 1, within=5, saying="it is asked for")


def test_keepers_end_with_their_servers(agent: Agent) -> None:
    """One that is deleted is kept no more; the others are."""
    agent.servers.spawn(spec())
    agent.servers.spawn(spec("srv_b_00000002", 30002))
    agent.servers.delete(ID)
    agent.reconciler.drop_gone()
    assert agent.reconciler.kept() == ["srv_b_00000002"]
    agent.reconciler.wake_all()
    agent.reconciler.wake_known("somebody_s_container")
    assert agent.reconciler.kept() == ["srv_b_00000002"]
