"""A server's life, told by what callers get and what the host then looks like."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import ComposeFailed, Conflict, DockerUnavailable, InvalidRequest, ManagerFailed, NotFound
from core.models import Phase, Ports, TunnelReason, TunnelState
from provisioning.servers import Cleanup
from tests.fakes.world import Agent, World, spec
from tests.waiting import wait_until

ID = "srv_a_00000001"
AWAY = ManagerFailed("manager_unreachable", "The instance manager takes no connection.")
NO_SPACE = ComposeFailed("no_space", "The disk is full; free some space.")


def test_spawn_gives_a_game_with_its_tunnel(world: World, agent: Agent) -> None:
    """The answer comes when the container runs and the tunnel is started."""
    view = agent.servers.spawn(spec())
    assert (view.phase, view.container and view.container.status) == (Phase.STARTING, "running")
    assert view.tunnel.state is TunnelState.UP
    assert view.public_address == "play.example.org:30000"
    assert world.layout.client_config(ID).stat().st_mode & 0o777 == 0o600
    world.games.answering.add(ID)
    agent.reconciler.wake(ID)
    wait_until(lambda: agent.servers.view(ID).phase is Phase.READY, within=5, saying="players can join")
    assert "bounce srv_a_00000001" in world.tunnels.did


def test_the_same_spawn_again_is_answered_with_what_is_there(world: World, agent: Agent) -> None:
    """Nothing is done twice, and a stopped server stays stopped."""
    agent.servers.spawn(spec())
    assert agent.servers.spawn(spec()).server_id == ID
    agent.servers.stop(ID)
    assert agent.servers.spawn(spec()).phase is Phase.STOPPED
    assert world.count(f"up {ID}") == 1


def test_another_spec_under_the_same_id_is_refused(agent: Agent) -> None:
    """Upper and lower case are the same id, too."""
    agent.servers.spawn(spec())
    for other in (spec(max_players=9), spec(ID.upper())):
        with pytest.raises(Conflict) as refused:
            agent.servers.spawn(other)
        assert refused.value.code == "server_exists"


def test_taken_ports_are_refused_and_leave_nothing(world: World, agent: Agent) -> None:
    """The holder is named, and neither row nor operation of the refused one stays."""
    agent.servers.spawn(spec())
    with pytest.raises(Conflict, match=ID) as refused:
        agent.servers.spawn(spec("srv_b_00000002"))
    assert refused.value.code == "port_in_use"
    world.nothing_left("srv_b_00000002")
    assert agent.operations.last("srv_b_00000002") is None


def test_a_full_host_takes_no_more(world: World) -> None:
    """MAX_SERVERS is said in the sentence."""
    world.settings = world.settings.model_copy(update={"max_servers": 1})
    agent = world.boot()
    agent.servers.spawn(spec())
    with pytest.raises(Conflict, match="MAX_SERVERS"):
        agent.servers.spawn(spec("srv_b_00000002", 30002))


def test_somebody_else_s_container_keeps_its_name(world: World, agent: Agent) -> None:
    """A game so named would catch the calls that are meant for it, whatever the case."""
    world.engine.run("Postgres", None)
    world.engine.containers["Postgres"].labels.clear()  # type: ignore[attr-defined]
    with pytest.raises(InvalidRequest):
        agent.servers.spawn(spec("postgres"))


def test_a_game_that_cannot_run_is_undone(world: World, agent: Agent) -> None:
    """Row, ports, files and instance go, and the caller gets the very error of compose."""
    world.compose.fault = NO_SPACE
    with pytest.raises(ComposeFailed) as failed:
        agent.servers.spawn(spec())
    assert failed.value is NO_SPACE
    world.nothing_left()
    agent.hands.instances.step()
    assert world.manager.instances == {}
    world.compose.fault = None
    assert agent.servers.spawn(spec("srv_b_00000002")).phase is Phase.STARTING


def test_without_docker_nothing_begins(world: World, agent: Agent) -> None:
    """Every change is refused at once, and nothing of it is left."""
    world.engine.up = False
    with pytest.raises(DockerUnavailable):
        agent.servers.spawn(spec())
    world.engine.up = True
    world.nothing_left()
    assert agent.operations.last(ID) is None


def test_docker_that_goes_away_in_the_middle_leaves_nothing(world: World, agent: Agent) -> None:
    """The caller is told at once; what there is goes when Docker is back."""
    world.compose.fault = DockerUnavailable("docker_unavailable", "The Docker engine is not reachable.")
    with pytest.raises(DockerUnavailable):
        agent.servers.spawn(spec())
    agent.reconciler.wake(ID, urgent=True)
    wait_until(lambda: agent.hands.servers.get(ID) is None, within=5, saying="it is undone")
    world.nothing_left()


def test_without_docker_what_was_seen_is_still_told(world: World, agent: Agent) -> None:
    """Reads go on from the last look; a delete is written down and done later."""
    agent.servers.spawn(spec())
    world.engine.up = False
    assert agent.servers.view(ID).observed_at
    with pytest.raises(DockerUnavailable):
        agent.servers.delete(ID)
    assert agent.servers.view(ID).phase is Phase.DELETING
    world.engine.up = True
    agent.reconciler.wake(ID, urgent=True)
    wait_until(lambda: agent.hands.servers.get(ID) is None, within=5, saying="it is removed")
    world.nothing_left()


def test_without_the_manager_the_game_runs_and_the_tunnel_comes_later(world: World, agent: Agent) -> None:
    """The answer is a success that names the tunnel's state."""
    world.manager.fault = AWAY
    view = agent.servers.spawn(spec())
    assert view.container
    assert (view.tunnel.state, view.tunnel.reason) == (TunnelState.BACKOFF, TunnelReason.MANAGER_UNREACHABLE)
    assert view.public_address is None
    world.manager.fault = None
    world.later += 60
    agent.reconciler.wake(ID)
    world.reached()
    assert world.count(f"stop {ID}") == 0


def test_a_game_follows_the_manager_s_ports(world: World, agent: Agent) -> None:
    """Players type what the game itself has; the requested ports stay in the record."""
    world.manager.shift = 10000
    view = agent.servers.spawn(spec())
    assert view.container
    assert view.container.ports == Ports(40000, 41000) == view.ports
    assert view.requested_ports == Ports(30000, 31000)
    assert view.public_address == "play.example.org:40000"
    assert "srv_a_00000001:40000" in world.layout.client_config(ID).read_text()


def test_ports_that_come_late_cost_one_stop_and_one_start(world: World, agent: Agent) -> None:
    """A game that was started without the manager follows it once."""
    world.manager.fault = AWAY
    agent.servers.spawn(spec())
    world.manager.fault, world.manager.shift = None, 10000
    world.later += 60
    agent.reconciler.wake(ID)
    world.reached()
    assert world.engine.did == [f"up {ID}", f"stop {ID}", f"up {ID}"]
    assert world.engine.containers[ID].ports == Ports(40000, 41000)


def test_a_busy_manager_is_waited_for(world: World, agent: Agent) -> None:
    """It serves one caller at a time: a game has a minute's patience, then it runs without it."""
    world.manager.fault = ManagerFailed("manager_timeout", "The manager did not answer within 10 s.")

    def slow(*_: object) -> None:
        world.later += 10
        assert world.manager.fault
        raise world.manager.fault

    world.manager._admit = slow  # type: ignore[method-assign]
    before = world.later
    assert agent.servers.spawn(spec()).container
    assert 60 <= world.later - before <= 80
    agent.reconciler.stop()


def test_a_user_s_token_goes_to_the_manager_and_nowhere_else(world: World, agent: Agent) -> None:
    """What the agent then does on its own is refused, until a request brings a token again."""
    world.manager.needs = "jwt-of-a-user"
    assert agent.servers.spawn(spec()).tunnel.reason is TunnelReason.AUTH_REFUSED
    agent.servers.start(ID, "jwt-of-a-user")
    world.reached()
    agent.store.close()
    written = b"".join(path.read_bytes() for path in world.root.rglob("*") if path.is_file())
    assert b"jwt-of-a-user" not in written


def test_a_dead_instance_is_made_anew(world: World, agent: Agent) -> None:
    """After its own restart the manager lists instances whose rathole servers are gone."""
    world.manager.instances[ID] = Ports(40050, 40051)
    world.manager.dead.add(ID)
    assert agent.servers.spawn(spec()).ports == Ports(30000, 31000)


def test_an_instance_whose_answer_was_lost_is_given_back(world: World, agent: Agent) -> None:
    """The manager made it, and then did not give its file: a delete takes it off all the same."""
    world.manager.config_fault = ManagerFailed("manager_failed", "The manager failed (500).")
    agent.servers.spawn(spec())
    assert ID in world.manager.instances
    agent.servers.delete(ID, "token")
    agent.hands.instances.step()
    assert world.manager.instances == {}
    assert world.manager.tokens[-1] == "token"


def test_stop_and_start_keep_data_and_address(world: World, agent: Agent) -> None:
    """The instance stays with the manager; the orchestrator's stop of the client after that changes nothing."""
    world.manager.shift = 10000
    address = agent.servers.spawn(spec()).public_address
    save = world.layout.data(ID) / "save"
    save.write_text("a factory")
    agent.servers.stop(ID)
    agent.servers.stop_tunnel(ID)
    view = agent.servers.view(ID)
    assert (view.phase, view.tunnel.state) == (Phase.STOPPED, TunnelState.STOPPED)
    assert agent.servers.start(ID).public_address == address
    assert save.read_text() == "a factory"
    assert ID in world.tunnels.running
    assert world.manager.calls.count(f"delete {ID}") == 0


def test_restart_runs_the_game_anew(world: World, agent: Agent) -> None:
    """Once, also where it was stopped."""
    before = agent.servers.spawn(spec()).container
    agent.servers.restart(ID)
    after = agent.servers.view(ID).container
    assert before
    assert after
    assert after.started_at > before.started_at
    assert world.engine.did == [f"up {ID}", f"stop {ID}", f"up {ID}"]
    agent.servers.stop(ID)
    agent.servers.restart(ID)
    assert agent.servers.view(ID).phase is Phase.STARTING


def test_kill_ends_the_game_and_leaves_it_stopped(world: World, agent: Agent) -> None:
    """Its tunnel goes, too; nothing starts it again."""
    agent.servers.spawn(spec())
    assert agent.servers.kill(ID).phase is Phase.STOPPED
    assert ID not in world.tunnels.running
    assert world.count(f"kill {ID}") == 1


def test_kill_where_no_container_is(world: World, agent: Agent) -> None:
    """It is not running, as asked; and no operation stays open."""

    def absent(name: str) -> None:
        raise NotFound("no_such_thing", f"No such container: {name}.")

    agent.servers.spawn(spec())
    agent.servers.stop(ID)
    world.engine.kill = absent  # type: ignore[method-assign]
    assert agent.servers.kill(ID).phase is Phase.STOPPED
    assert agent.operations.current(ID) is None


def test_delete_leaves_nothing(world: World, agent: Agent) -> None:
    """Container, files, row and ports are gone with the answer; the instance follows on its own."""
    agent.servers.spawn(spec())
    agent.servers.delete(ID)
    world.nothing_left()
    assert agent.servers.spawn(spec("srv_b_00000002")).container
    agent.hands.instances.step()
    assert list(world.manager.instances) == ["srv_b_00000002"]


def test_what_is_not_there_is_stopped_and_removed_already(agent: Agent) -> None:
    """Stop with any cleanup, delete and the client's stop succeed; everything else is 404."""
    for cleanup in Cleanup:
        agent.servers.stop(ID, cleanup)
    agent.servers.delete(ID)
    agent.servers.stop_tunnel(ID)
    for call in (agent.servers.start, agent.servers.restart, agent.servers.kill, agent.servers.view):
        with pytest.raises(NotFound):
            call(ID)
    with pytest.raises(NotFound):
        agent.servers.start_tunnel(ID, Ports(30000, 31000))


def test_stop_with_delete_and_with_rathole(world: World, agent: Agent) -> None:
    """The one removes all, the other the tunnel alone, under a game that goes on."""
    world.manager.shift = 10000
    agent.servers.spawn(spec())
    agent.servers.stop(ID, Cleanup.RATHOLE)
    agent.hands.instances.step()
    assert (ID in world.tunnels.running, world.manager.instances) == (False, {})
    assert not world.layout.tunnel(ID).exists()
    assert world.count(f"stop {ID}") == 0
    agent.servers.stop(ID, Cleanup.DELETE)
    world.nothing_left()


def test_a_tunnel_is_taken_away_and_comes_back(world: World, agent: Agent) -> None:
    """Only at the ports of the server."""
    agent.servers.spawn(spec())
    agent.servers.stop_tunnel(ID)
    assert ID not in world.tunnels.running
    assert agent.row().client_config is None
    with pytest.raises(Conflict):
        agent.servers.start_tunnel(ID, Ports(30002, 31002))
    agent.servers.start_tunnel(ID, Ports(30000, 31000))
    assert ID in world.tunnels.running
    assert agent.servers.clients()[ID].ports == Ports(30000, 31000)


def test_another_configuration_is_run_and_a_bad_one_changes_nothing(world: World, agent: Agent) -> None:
    """It is checked before anything is written."""
    agent.servers.spawn(spec())
    text = world.layout.client_config(ID).read_text()
    agent.servers.configure_tunnel(ID, text.replace("t0ken", "another"))
    assert "another" in world.tunnels.running[ID]
    with pytest.raises(InvalidRequest):
        agent.servers.configure_tunnel(ID, text.replace(f"{ID}:30000", "localhost:8082"))
    assert "another" in world.layout.client_config(ID).read_text()


def test_twenty_spawns_at_once(world: World, agent: Agent) -> None:
    """The manager serves one at a time; every caller gets a server with its tunnel."""
    specs = [spec(f"srv_{number:02}", 30000 + 2 * number) for number in range(20)]
    with ThreadPoolExecutor(20) as pool:
        views = list(pool.map(agent.servers.spawn, specs))
    assert [view.server_id for view in views] == [one.server_id for one in specs]
    assert len(world.tunnels.running) == len(world.manager.instances) == len(world.engine.containers) == 20


def test_two_identical_spawns_at_once_give_one_server(world: World, agent: Agent) -> None:
    """The second joins the first and gets its answer."""
    with ThreadPoolExecutor(8) as pool:
        views = list(pool.map(agent.servers.spawn, [spec()] * 8))
    assert len({view.container.id for view in views if view.container}) == 1
    assert world.count(f"up {ID}") == 1


def test_games_that_are_stopped_for_an_upgrade_stay_wanted(world: World, agent: Agent) -> None:
    """The next agent runs them again; one that was stopped before stays so."""
    agent.servers.spawn(spec())
    agent.servers.spawn(spec("srv_b_00000002", 30002))
    agent.servers.stop("srv_b_00000002")
    agent.servers.stop_games()
    assert not world.engine.alive(ID)
    agent.reconciler.stop()
    world.boot()
    world.reached()
    assert not world.engine.alive("srv_b_00000002")


def test_a_host_without_manager_publishes_its_ports(world: World) -> None:
    """Players then type the host's own address, and no tunnel is missed."""
    world.settings = world.settings.model_copy(
        update={"rathole_instance_manager_host": "", "advertise_address": "192.0.2.7"}
    )
    agent = world.boot()
    view = agent.servers.spawn(spec())
    assert view.public_address == "192.0.2.7:30000"
    assert "30000:30000/udp" in world.layout.compose_file(ID).read_text()
    world.games.answering.add(ID)
    agent.reconciler.wake(ID)
    wait_until(lambda: agent.servers.view(ID).phase is Phase.READY, within=5, saying="players can join")
