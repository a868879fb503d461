"""What to do next for one server: each rule as a sentence, then all of them together."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.models import Ports
from core.servers import Server
from provisioning.plan import Action, ContainerSeen, Observed, plan
from provisioning.watchdog import Verdict
from tests.unit.provisioning.paper import ADDRESS, FIRST_RUN, GRANTED, RUNNING, SEEN, SERVER, SPEC, STOPPED, Paper

A = Action
NEW = {"public_ports": None, "client_config": None, "bounced_for": None}
BARE = {"container": None, "tunnel_runs": False, "game_answers": False}
DOWN = {"container": STOPPED, "tunnel_runs": False, "game_answers": False}
TAKEN_OFF = replace(RUNNING, on_network=False, joinable=True, address=None)
MOVED = replace(RUNNING, address="172.20.0.3")

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
    "a client of nobody's instance is ended": ({"client_config": None}, {}, {A.STOP_TUNNEL}),
    "a game waits for the word on an instance in doubt, since other ports may come of it": (
        {},
        DOWN | {"manager_due": True, "instance_stale": True},
        {A.ASK_MANAGER},
    ),
    "it does not wait for a manager that failed": (
        {},
        DOWN | {"manager_due": True, "instance_stale": True, "manager_failed": True},
        {A.UP},
    ),
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
    "another template recreates no running game": ({}, {"compose_file_right": False}, {A.WRITE_COMPOSE_FILE}),
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
    "a game that was taken off the network is put on it while it runs": (
        {},
        {"container": TAKEN_OFF, "game_answers": False},
        {A.JOIN_NETWORK},
    ),
    "the network is made before a running game is put on it": (
        {},
        {"container": TAKEN_OFF, "game_answers": False, "network_present": False},
        {A.ENSURE_NETWORK},
    ),
    "a game that shall stop is saved first, while its players still reach it": (
        {"container_wanted": False},
        {"save_due": True},
        {A.SAVE_GAME},
    ),
    "a game that is to be restarted is saved first": ({"restart_from": FIRST_RUN}, {"save_due": True}, {A.SAVE_GAME}),
    "a game that is to follow other ports is saved first": (
        {"public_ports": GRANTED},
        {"save_due": True},
        {A.SAVE_GAME},
    ),
    "a game that stays is not saved": ({}, {"save_due": True}, set()),
    "a game with a password is claimed once it is ready": ({}, {"claim_due": True}, {A.CLAIM}),
    "no tunnel opens to a game that is still to be claimed": (
        {},
        {"claim_due": True, "tunnel_runs": False},
        {A.CLAIM},
    ),
    "a game that loads is not claimed yet": (
        {},
        {"claim_due": True, "tunnel_runs": False, "game_ready": False, "game_answers": False},
        set(),
    ),
    "a game that died too often is stopped, unsaved": (
        {"crashed": True},
        {"save_due": True, "tunnel_runs": False},
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
    "a game that died too often stays down": ({"crashed": True}, DOWN, set()),
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
    "a tunnel begins anew when its game has another address": ({}, {"container": MOVED}, {A.BOUNCE_TUNNEL}),
    "an address that has not settled is waited for": ({}, {"container": MOVED, "address_settled": False}, set()),
    "a tunnel through which nothing comes begins anew": ({}, {"path": Verdict.BOUNCE}, {A.BOUNCE_TUNNEL}),
    "a tunnel that was begun anew in vain is left to a person": ({}, {"path": Verdict.FAILED}, set()),
    "no tunnel runs where names do not resolve": ({}, {"tunnel_runs": False, "can_tunnel": False}, set()),
    "an instance that the VPS does not know is asked for again": (
        {},
        {"instance_stale": True, "manager_due": True},
        {A.ASK_MANAGER},
    ),
    "an instance that the VPS refuses for long is made anew": (
        {},
        {"instance_stale": True, "instance_refused": True, "manager_due": True},
        {A.REMAKE_INSTANCE},
    ),
    "no instance is made anew for a game that is down": (
        {"container_wanted": False},
        DOWN | {"instance_refused": True, "manager_due": True},
        set(),
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
    "a removal waits for no save": ({"deleting": True}, {"save_due": True}, {A.STOP_TUNNEL}),
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
    joinable=st.booleans(),
    address=st.sampled_from([None, ADDRESS, "172.20.0.3"]),
)
SERVERS = st.builds(
    replace,
    st.just(SERVER),
    container_wanted=st.booleans(),
    tunnel_wanted=st.booleans(),
    deleting=st.booleans(),
    stopped_externally=st.booleans(),
    crashed=st.booleans(),
    public_ports=st.none() | PORTS,
    client_config=st.sampled_from([None, "[client]"]),
    restart_from=st.none() | TIMES,
    bounced_for=st.none() | st.builds("{} {}".format, TIMES, st.sampled_from([None, ADDRESS])),
)


def possible(seen: Observed) -> Observed:
    """Return a world without what contradicts itself: only what runs can be joined, ready, lost or refused."""
    container = seen.container
    tunnel_runs = seen.tunnel_runs and seen.can_tunnel
    runs = container is not None and container.status == "running"
    ready = runs and seen.game_answers and seen.game_ready
    if container:
        container = replace(container, joinable=runs and container.joinable and not container.on_network)
    return replace(
        seen,
        container=container,
        game_ready=ready,
        address_settled=seen.game_answers and seen.address_settled,
        claim_due=seen.claim_due and container is not None,
        save_due=seen.save_due and runs,
        tunnel_runs=tunnel_runs,
        instance_refused=seen.instance_refused and tunnel_runs,
        path=seen.path if ready and tunnel_runs else Verdict.FINE,
    )


WORLDS = st.builds(
    Observed,
    container=CONTAINERS,
    path=st.sampled_from(Verdict),
    **dict.fromkeys(
        [
            "network_present",
            "image_present",
            "compose_file_right",
            "manager_due",
            "manager_failed",
            "instance_stale",
            "instance_refused",
            "client_file_right",
            "can_tunnel",
            "tunnel_runs",
            "game_answers",
            "address_settled",
            "files_present",
            "game_ready",
            "claim_due",
            "save_due",
        ],
        st.booleans(),
    ),
).map(possible)
PAPERS = st.builds(Paper, SERVERS, WORLDS, granted=st.none() | PORTS, follow=st.booleans(), locked=st.booleans())

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
    {A.RELEASE_INSTANCE, A.REMAKE_INSTANCE},
    {A.REMAKE_INSTANCE, A.ASK_MANAGER},
    {A.REMAKE_INSTANCE, A.WRITE_CLIENT_CONFIG},
    {A.REMAKE_INSTANCE, A.STOP_TUNNEL},
    {A.JOIN_NETWORK, A.ENSURE_NETWORK},
    {A.JOIN_NETWORK, A.STOP_CONTAINER},
    {A.CLAIM, A.RUN_TUNNEL},
    {A.CLAIM, A.STOP_CONTAINER},
]
ALONE = {A.SAVE_GAME, A.REMOVE_CONTAINER, A.REMOVE_FILES, A.FORGET}


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
        unwanted = server.deleting or not server.container_wanted or server.stopped_externally or server.crashed
        restart = server.restart_from == container.started_at
        off_network = not container.on_network and not container.joinable
        out_of_reach = off_network or (server.client_config and container.ports not in {None, ports})
        assert unwanted or restart or out_of_reach


@given(SERVERS, PORTS, WORLDS)
def test_what_was_played_is_saved_before_the_end(server: Server, ports: Ports, seen: Observed) -> None:
    """Neither the game nor its tunnel ends before that, but where all is deleted or the game only dies."""
    actions = plan(server, ports, seen)
    if seen.save_due and not server.deleting and not server.crashed:
        assert A.STOP_CONTAINER not in actions
        ends = not server.container_wanted or server.stopped_externally
        assert not (ends and A.STOP_TUNNEL in actions)
    if A.SAVE_GAME in actions:
        assert seen.save_due


@given(SERVERS, PORTS, WORLDS)
def test_a_game_is_claimed_before_anybody_reaches_it(server: Server, ports: Ports, seen: Observed) -> None:
    """An unclaimed game belongs to whoever comes first."""
    actions = plan(server, ports, seen)
    assert not (seen.claim_due and A.RUN_TUNNEL in actions)
    if A.CLAIM in actions:
        assert seen.is_alive
        assert seen.game_ready


@given(SERVERS, PORTS, WORLDS)
def test_a_game_that_died_too_often_stays_down(server: Server, ports: Ports, seen: Observed) -> None:
    """Whatever else is wrong with it; nothing is done to run it, and nothing for its players."""
    actions = plan(replace(server, crashed=True), ports, seen)
    assert not actions & {A.UP, A.RECREATE, A.PULL_IMAGE, A.JOIN_NETWORK, A.CLAIM, A.SAVE_GAME, A.RUN_TUNNEL}


@given(PAPERS)
def test_any_world_leads_to_the_desired_one(paper: Paper) -> None:
    """From wherever a crash left things, a few plans lead to what is wanted, and then nothing is planned."""
    paper.settle()
    if paper.server.deleting:
        assert paper.gone
        return
    _check_container(paper)
    if not paper.seen.claim_due:
        _check_tunnel(paper)
    paper.load()
    paper.settle()
    _check_container(paper)
    _check_tunnel(paper)
    _check_players(paper)


def _check_container(paper: Paper) -> None:
    server, container = paper.server, paper.seen.container
    assert paper.seen.is_alive == (server.container_wanted and not server.stopped_externally and not server.crashed)
    if container and container.is_alive:
        assert container.on_network
        assert container.started_at != server.restart_from
        assert server.client_config is None or container.ports in {None, paper.ports}
        assert paper.runs <= 1 + paper.started_without, "players are thrown out once at most"


def _check_tunnel(paper: Paper) -> None:
    server, seen = paper.server, paper.seen
    assert seen.is_alive or not seen.tunnel_runs
    if not server.tunnel_wanted:
        assert not seen.tunnel_runs
        assert server.client_config is None
    elif server.client_config and seen.can_tunnel and seen.is_alive:
        assert seen.tunnel_runs
        assert seen.client_file_right


def _check_players(paper: Paper) -> None:
    """Whoever plays reaches a game that is claimed, through a tunnel that was begun anew for its present run."""
    server, seen = paper.server, paper.seen
    if seen.is_alive:
        assert not seen.claim_due
    if seen.tunnel_runs and seen.container:
        assert server.bounced_for == seen.container.run
        assert seen.path is not Verdict.BOUNCE


@given(PAPERS)
def test_what_has_settled_is_left_alone(paper: Paper) -> None:
    """A second look at the same world has nothing to add."""
    paper.settle()
    assert paper.settle() == []
    paper.load()
    paper.settle()
    assert paper.settle() == []


def test_the_manager_s_late_other_ports_cost_one_stop_and_one_start() -> None:
    """A game that was started without the manager follows it once, saved, and with its tunnel at the end."""
    paper = Paper(replace(SERVER, **NEW), replace(SEEN, tunnel_runs=False, manager_due=True, save_due=True))
    done = paper.settle()
    assert [step for step in done if step & {A.SAVE_GAME, A.STOP_CONTAINER, A.UP, A.RECREATE}] == [
        {A.SAVE_GAME},
        {A.STOP_CONTAINER, A.WRITE_CLIENT_CONFIG},
        {A.UP},
    ]
    assert done[-1] == {A.RUN_TUNNEL}
    assert paper.seen.container == replace(
        RUNNING, started_at=paper.seen.container.started_at, ports=GRANTED, address=paper.seen.container.address
    )
