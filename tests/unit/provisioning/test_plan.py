"""What to do next for one server: each rule as a sentence, then all of them together."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.models import Ports
from core.servers import Server
from provisioning.plan import Action, ContainerSeen, Observed, plan
from tests.unit.provisioning.paper import FIRST_RUN, GRANTED, RUNNING, SEEN, SERVER, SPEC, STOPPED, Paper

A = Action
NEW = {"public_ports": None, "client_config": None, "bounced_for": None}
BARE = {"container": None, "tunnel_runs": False, "game_answers": False}
DOWN = {"container": STOPPED, "tunnel_runs": False, "game_answers": False}

# sentence: (what differs from a server in good order, what differs from a world in good order, the plan)
RULES: dict[str, tuple[dict[str, object], dict[str, object], set[Action]]] = {
    "what is as it should be is left alone": ({}, {}, set()),
    "a stopped server that shall be stopped is left alone": ({"container_wanted": False}, DOWN, set()),
    # A new server.
    "all that a new server lacks is fetched side by side": (
        NEW,
        BARE | {"network_present": False, "image_present": False, "manager_due": True},
        {A.ENSURE_NETWORK, A.PULL_IMAGE, A.ASK_MANAGER},
    ),
    "a game waits for the manager, which may name other ports": (NEW, BARE | {"manager_due": True}, {A.ASK_MANAGER}),
    "a game does not wait for a manager that failed": (
        NEW,
        BARE | {"manager_due": True, "manager_failed": True},
        {A.UP},
    ),
    "a game does not wait where there is no manager": (NEW, BARE, {A.UP}),
    "the compose file is written before it is used": (
        {},
        BARE | {"compose_file_right": False},
        {A.WRITE_COMPOSE_FILE},
    ),
    "a failed manager is asked again once the game runs": (
        NEW,
        {"tunnel_runs": False, "manager_due": True, "manager_failed": True},
        {A.ASK_MANAGER},
    ),
    # A game that runs.
    "another template recreates no running game": ({}, {"compose_file_right": False}, set()),
    "an image that is gone stops no running game": ({}, {"image_present": False}, set()),
    "a game that shall stop loses its tunnel first": ({"container_wanted": False}, {}, {A.STOP_TUNNEL}),
    "a game that shall stop is stopped once no tunnel leads to it": (
        {"container_wanted": False},
        {"tunnel_runs": False},
        {A.STOP_CONTAINER},
    ),
    "a game is stopped for a restart": ({"restart_from": FIRST_RUN}, {"tunnel_runs": False}, {A.STOP_CONTAINER}),
    "a game that was started since a restart was asked for stays": (
        {"restart_from": "2025-12-31T23:59:59Z"},
        {},
        set(),
    ),
    "a game whose public ports are others is stopped for them": (
        {"public_ports": GRANTED},
        {"tunnel_runs": False},
        {A.STOP_CONTAINER},
    ),
    "a game that no tunnel leads to keeps the ports it runs with": (
        NEW | {"tunnel_wanted": False},
        {"container": replace(RUNNING, ports=GRANTED), "tunnel_runs": False},
        set(),
    ),
    "a game whose container names no ports stays": ({}, {"container": replace(RUNNING, ports=None)}, set()),
    "a game on a network that is gone is stopped": (
        {},
        {"container": replace(RUNNING, on_network=False), "tunnel_runs": False},
        {A.STOP_CONTAINER},
    ),
    "a game that Docker is about to restart is left to Docker": (
        {},
        {"container": replace(RUNNING, status="restarting")},
        set(),
    ),
    # A game that does not run.
    "a container that is gone is made": ({}, BARE, {A.UP}),
    "a container that ended is started": ({}, DOWN, {A.UP}),
    "a container on a network that is gone is made anew": (
        {},
        DOWN | {"container": replace(STOPPED, on_network=False)},
        {A.RECREATE},
    ),
    "a container that was stopped by hand stays so": ({"stopped_externally": True}, DOWN, set()),
    "a network that is gone is made again": ({}, DOWN | {"network_present": False}, {A.ENSURE_NETWORK}),
    "no tunnel leads to a game that ended": ({}, DOWN | {"tunnel_runs": True}, {A.STOP_TUNNEL, A.UP}),
    # The tunnel.
    "a tunnel runs once its game does": ({}, {"tunnel_runs": False}, {A.RUN_TUNNEL}),
    "a tunnel waits for its file": ({}, {"tunnel_runs": False, "client_file_right": False}, {A.WRITE_CLIENT_CONFIG}),
    "a file that was edited is written again under a running tunnel": (
        {},
        {"client_file_right": False},
        {A.WRITE_CLIENT_CONFIG},
    ),
    "a tunnel begins anew when its game first answers": ({"bounced_for": None}, {}, {A.BOUNCE_TUNNEL}),
    "a tunnel does not begin anew before its game answers": ({"bounced_for": None}, {"game_answers": False}, set()),
    "no tunnel runs where names do not resolve": ({}, {"tunnel_runs": False, "can_tunnel": False}, set()),
    "an instance that the VPS does not know is asked for again": (
        {},
        {"instance_stale": True, "manager_due": True},
        {A.ASK_MANAGER},
    ),
    "a manager is not asked before its time": ({}, {"instance_stale": True}, set()),
    "nobody asks for a tunnel of a stopped server": (
        NEW | {"container_wanted": False},
        DOWN | {"manager_due": True},
        set(),
    ),
    "a tunnel that is not wanted ends": ({"tunnel_wanted": False}, {}, {A.STOP_TUNNEL}),
    "an instance goes once its tunnel has ended": (
        {"tunnel_wanted": False},
        {"tunnel_runs": False},
        {A.RELEASE_INSTANCE},
    ),
    "a stopped server keeps its instance, and with it its address": ({"container_wanted": False}, DOWN, set()),
    # A removal.
    "a removal begins with the tunnel": ({"deleting": True}, {}, {A.STOP_TUNNEL}),
    "then the container goes": ({"deleting": True}, {"tunnel_runs": False}, {A.REMOVE_CONTAINER}),
    "then the files go": ({"deleting": True}, BARE, {A.REMOVE_FILES}),
    "then the server is forgotten": ({"deleting": True}, BARE | {"files_present": False}, {A.FORGET}),
    "a removal waits for no network, image or manager": (
        NEW | {"deleting": True},
        BARE | {"network_present": False, "image_present": False, "manager_due": True, "files_present": False},
        {A.FORGET},
    ),
}


@pytest.mark.parametrize("sentence", RULES)
def test_rule(sentence: str) -> None:
    """Each rule is what its name says."""
    wishes, world, expected = RULES[sentence]
    paper = Paper(replace(SERVER, **wishes), replace(SEEN, **world))
    assert paper.planned() == expected


def test_every_action_has_its_rule() -> None:
    """No action is planned that no sentence speaks of."""
    assert set(Action) == set[Action]().union(*(expected for _, _, expected in RULES.values()))


PORTS = st.sampled_from([SPEC.ports, GRANTED, Ports(50000, 50001)])
TIMES = st.sampled_from([FIRST_RUN, "2025-01-01T00:00:00Z"])
CONTAINERS = st.none() | st.builds(
    ContainerSeen,
    status=st.sampled_from(["created", "running", "paused", "restarting", "removing", "exited", "dead"]),
    started_at=TIMES,
    ports=st.none() | PORTS,
    on_network=st.booleans(),
)
SERVERS = st.builds(
    replace,
    st.just(SERVER),
    container_wanted=st.booleans(),
    tunnel_wanted=st.booleans(),
    deleting=st.booleans(),
    stopped_externally=st.booleans(),
    public_ports=st.none() | PORTS,
    client_config=st.sampled_from([None, "[client]"]),
    restart_from=st.none() | TIMES,
    bounced_for=st.none() | TIMES,
)
WORLDS = st.builds(
    Observed,
    container=CONTAINERS,
    **dict.fromkeys(
        [
            "network_present",
            "image_present",
            "compose_file_right",
            "manager_due",
            "manager_failed",
            "instance_stale",
            "client_file_right",
            "can_tunnel",
            "tunnel_runs",
            "game_answers",
            "files_present",
        ],
        st.booleans(),
    ),
)
PAPERS = st.builds(Paper, SERVERS, WORLDS, granted=st.none() | PORTS, follow=st.booleans())

CONTRADICTIONS = [
    {A.RUN_TUNNEL, A.STOP_CONTAINER},
    {A.RUN_TUNNEL, A.STOP_TUNNEL},
    {A.BOUNCE_TUNNEL, A.STOP_TUNNEL},
    {A.RUN_TUNNEL, A.BOUNCE_TUNNEL},
    {A.RUN_TUNNEL, A.WRITE_CLIENT_CONFIG},
    {A.STOP_TUNNEL, A.STOP_CONTAINER},
    {A.STOP_CONTAINER, A.UP},
    {A.STOP_CONTAINER, A.RECREATE},
    {A.UP, A.RECREATE},
    {A.UP, A.WRITE_COMPOSE_FILE},
    {A.UP, A.ENSURE_NETWORK},
    {A.UP, A.PULL_IMAGE},
    {A.UP, A.ASK_MANAGER},
    {A.RELEASE_INSTANCE, A.RUN_TUNNEL},
    {A.RELEASE_INSTANCE, A.ASK_MANAGER},
    {A.RELEASE_INSTANCE, A.WRITE_CLIENT_CONFIG},
]
ALONE = {A.REMOVE_CONTAINER, A.REMOVE_FILES, A.FORGET}


@given(SERVERS, PORTS, WORLDS)
def test_no_plan_contradicts_itself(server: Server, ports: Ports, seen: Observed) -> None:
    """Actions of one plan are run side by side, so none may undo or disturb another."""
    actions = plan(server, ports, seen)
    fresh_instance = seen.instance_stale and server.client_config
    assert [pair for pair in CONTRADICTIONS if pair <= actions and not (fresh_instance and A.ASK_MANAGER in pair)] == []
    assert len(actions) == 1 or not actions & ALONE


@given(SERVERS, PORTS, WORLDS)
def test_a_tunnel_is_run_to_a_running_game_only(server: Server, ports: Ports, seen: Observed) -> None:
    """A client whose game is down would blackhole who plays (rathole 0.5.0)."""
    actions = plan(server, ports, seen)
    if actions & {A.RUN_TUNNEL, A.BOUNCE_TUNNEL}:
        assert seen.is_alive
        assert server.client_config
        assert seen.client_file_right
        assert not server.deleting
    if seen.tunnel_runs and not seen.is_alive:
        assert A.STOP_TUNNEL in actions


@given(SERVERS, PORTS, WORLDS)
def test_a_running_game_is_ended_only_with_a_reason(server: Server, ports: Ports, seen: Observed) -> None:
    """It is never touched because a file, an image or the manager is not as expected."""
    container = seen.container
    if plan(server, ports, seen) & {A.STOP_CONTAINER, A.REMOVE_CONTAINER} and container and container.is_alive:
        unwanted = server.deleting or not server.container_wanted or server.stopped_externally
        restart = server.restart_from == container.started_at
        out_of_reach = not container.on_network or (server.client_config and container.ports not in {None, ports})
        assert unwanted or restart or out_of_reach


@given(PAPERS)
def test_any_world_leads_to_the_desired_one(paper: Paper) -> None:
    """From wherever a crash left things, a few plans lead to what is wanted, and then nothing is planned."""
    paper.settle()
    if paper.server.deleting:
        assert paper.gone
        return
    _check_container(paper)
    _check_tunnel(paper)


def _check_container(paper: Paper) -> None:
    server, container = paper.server, paper.seen.container
    assert paper.seen.is_alive == (server.container_wanted and not server.stopped_externally)
    if container and container.is_alive:
        assert container.on_network
        assert container.started_at != server.restart_from
        assert server.client_config is None or container.ports in {None, paper.ports}
        assert paper.runs <= 1, "players are thrown out once at most"


def _check_tunnel(paper: Paper) -> None:
    server, seen = paper.server, paper.seen
    assert seen.is_alive or not seen.tunnel_runs
    if not server.tunnel_wanted:
        assert not seen.tunnel_runs
        assert server.client_config is None
    elif server.client_config and seen.can_tunnel and seen.is_alive:
        assert seen.tunnel_runs
        assert seen.client_file_right


@given(PAPERS)
def test_what_has_settled_is_left_alone(paper: Paper) -> None:
    """A second look at the same world has nothing to add."""
    paper.settle()
    assert paper.settle() == []


def test_the_manager_s_late_other_ports_cost_one_stop_and_one_start() -> None:
    """A game that was started without the manager follows it once, with its tunnel at the end."""
    paper = Paper(replace(SERVER, **NEW), replace(SEEN, tunnel_runs=False, manager_due=True))
    done = paper.settle()
    assert [step for step in done if step & {A.STOP_CONTAINER, A.UP, A.RECREATE}] == [
        {A.STOP_CONTAINER, A.WRITE_CLIENT_CONFIG},
        {A.UP},
    ]
    assert done[-1] == {A.RUN_TUNNEL}
    assert paper.seen.container == replace(RUNNING, started_at=paper.seen.container.started_at, ports=GRANTED)
