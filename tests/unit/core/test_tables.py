"""The tables: servers with their ports, operations, processes and orphaned instances."""

import sqlite3

import pytest

from core.errors import Conflict, NotFound
from core.failpoints import Failpoint
from core.models import OperationKind, OperationStatus, Ports
from core.operations import OperationTable
from core.orphans import OrphanTable
from core.proc import ProcessIdentity
from core.processes import ProcessTable
from core.servers import ServerTable
from core.store import Store
from tests.unit.core.conftest import spec_of

TUNNEL = ProcessIdentity("boot", 7, 99, "/usr/bin/rathole", ("rathole", "a file"))


@pytest.fixture
def servers(store: Store) -> ServerTable:
    """Return the table of servers with one in it, at 30000 and 31000."""
    table = ServerTable(store)
    table.add(spec_of(serverPassword="marked"))
    return table


def test_a_new_server_is_wanted(servers: ServerTable) -> None:
    """The request is as given; nothing is known of the outside world yet."""
    server = servers.get("srv_a_00000001")
    assert server is not None
    assert server.spec == spec_of(serverPassword="marked")
    assert (server.container_wanted, server.tunnel_wanted, server.deleting, server.stopped_externally) == (
        (True, True, False, False)
    )
    assert (server.public_ports, server.public_host, server.failure_code) == (None, None, None)
    assert "marked" not in repr(server)


def test_an_id_is_found_whatever_its_case(servers: ServerTable) -> None:
    """It comes back as it was first spelled."""
    server = servers.get("SRV_A_00000001")
    assert server is not None
    assert server.server_id == "srv_a_00000001"
    assert servers.get("srv_b_00000001") is None


@pytest.mark.parametrize("server_id", ["srv_a_00000001", "SRV_a_00000001"])
def test_one_id_is_one_server(servers: ServerTable, server_id: str) -> None:
    """Docker's DNS does not see case, so neither do we; the second leaves no port behind."""
    with pytest.raises(Conflict, match="upper and lower case are the same") as failed:
        servers.add(spec_of(serverId=server_id, gamePort=32000, beaconPort=33000))
    assert failed.value.code == "server_exists"
    servers.add(spec_of(serverId="srv_b_00000001", gamePort=32000, beaconPort=33000))


@pytest.mark.parametrize(
    ("game", "beacon", "taken"),
    [(30000, 40000, 30000), (31000, 40000, 31000), (40000, 30000, 30000), (40000, 31000, 31000)],
)
def test_a_port_has_one_owner(servers: ServerTable, game: int, beacon: int, taken: int) -> None:
    """Each of the two numbers against each; the sentence names port and owner, and nothing is left of the second."""
    with pytest.raises(Conflict, match=rf"^Port {taken}/(tcp|udp) belongs to srv_a_00000001") as failed:
        servers.add(spec_of(serverId="srv_b_00000001", gamePort=game, beaconPort=beacon))
    assert failed.value.details == {"port": taken, "server_id": "srv_a_00000001"}
    assert servers.count() == 1
    servers.add(spec_of(serverId="srv_c_00000001", gamePort=40000, beaconPort=40001))


def test_a_removed_server_frees_id_and_ports(servers: ServerTable) -> None:
    """From then on another may have them; removing again is fine."""
    servers.remove("SRV_A_00000001")
    servers.remove("srv_a_00000001")
    assert servers.all() == []
    servers.add(spec_of())
    assert servers.count() == 1


def test_wishes_and_answers_are_kept(servers: ServerTable) -> None:
    """Each column by its name, whatever the id's case, and no other server's."""
    servers.add(spec_of(serverId="srv_b_00000001", gamePort=32000, beaconPort=33000))
    servers.update("SRV_A_00000001", container_wanted=False, failure_code="x", failure_message="Y.")
    servers.set_public("srv_a_00000001", Ports(40000, 40001), "vps.example")
    first, second = sorted(servers.all(), key=lambda server: server.server_id)
    assert (first.container_wanted, first.failure_code, first.failure_message) == (False, "x", "Y.")
    assert (first.public_ports, first.public_host) == (Ports(40000, 40001), "vps.example")
    assert (second.container_wanted, second.failure_code, second.public_ports) == (True, None, None)
    servers.set_public("srv_a_00000001", None, None)
    forgotten = servers.get("srv_a_00000001")
    assert forgotten is not None
    assert forgotten.public_ports is None


def test_a_wish_that_is_there_already_changes_nothing(servers: ServerTable) -> None:
    """Whoever asks twice can so be told from whoever asks for something else; NULL is a value like others."""
    assert servers.update("srv_a_00000001", client_config="x", tunnel_wanted=True)
    assert not servers.update("SRV_A_00000001", client_config="x", tunnel_wanted=True)
    assert servers.update("srv_a_00000001", client_config="x", tunnel_wanted=False)
    assert servers.update("srv_a_00000001", client_config=None)
    assert not servers.update("srv_a_00000001", client_config=None)
    assert not servers.update("srv_b_00000001", client_config="x")


def test_two_servers_may_have_one_public_port(servers: ServerTable) -> None:
    """A manager that lost its memory hands one out twice."""
    servers.add(spec_of(serverId="srv_b_00000001", gamePort=32000, beaconPort=33000))
    for server_id in ("srv_a_00000001", "srv_b_00000001"):
        servers.set_public(server_id, Ports(40000, 40001), None)
    assert {server.public_ports for server in servers.all()} == {Ports(40000, 40001)}


def test_several_changes_can_be_one(servers: ServerTable) -> None:
    """A conflict in the middle takes the changes before it back."""

    def replace() -> None:
        with servers.transaction(Failpoint.SERVER_WRITTEN):
            servers.update("srv_a_00000001", container_wanted=False)
            servers.add(spec_of(serverId="srv_b_00000001"))

    with pytest.raises(Conflict):
        replace()
    assert [server.container_wanted for server in servers.all()] == [True]


def test_an_operation_goes_its_way(store: Store) -> None:
    """Written down before anything is done, then step by step, to its end."""
    table = OperationTable(store)
    begun = table.begin("srv_a", OperationKind.PROVISION)
    assert (begun.status, begun.step, begun.is_open) == (OperationStatus.PENDING, None, True)
    table.at_step(begun.operation_id, "network")
    running = table.get(begun.operation_id)
    assert (running.status, running.step, running.is_open) == (OperationStatus.RUNNING, "network", True)
    table.succeed(begun.operation_id)
    done = table.get(begun.operation_id)
    assert (done.status, done.is_open, done.error_code) == (OperationStatus.SUCCEEDED, False, None)
    assert done.ended_at is not None
    assert done.ended_at >= done.started_at


def test_a_failed_operation_says_why(store: Store) -> None:
    """Code and sentence of the error."""
    table = OperationTable(store)
    operation = table.begin("srv_a", OperationKind.STOP)
    table.fail(operation.operation_id, NotFound("gone", "It is gone."))
    failed = table.get(operation.operation_id)
    assert (failed.status, failed.error_code, failed.error_message) == (OperationStatus.FAILED, "gone", "It is gone.")


def test_the_newest_operation_is_found(store: Store) -> None:
    """Open ones apart from all, by server, whatever the id's case."""
    table = OperationTable(store)
    first = table.begin("srv_a", OperationKind.START)
    second = table.begin("srv_a", OperationKind.STOP)
    table.begin("srv_b", OperationKind.KILL)
    assert table.last_for("SRV_A") == table.open_for("srv_a") == second
    table.succeed(second.operation_id)
    open_one = table.open_for("srv_a")
    assert open_one is not None
    assert open_one.operation_id == first.operation_id
    assert table.open_for("srv_none") is table.last_for("srv_none") is None


def test_an_operation_outlives_its_server(store: Store, servers: ServerTable) -> None:
    """A delete can be looked up when all else is gone."""
    table = OperationTable(store)
    operation = table.begin("srv_a_00000001", OperationKind.DELETE)
    servers.remove("srv_a_00000001")
    assert table.get(operation.operation_id) == operation
    with pytest.raises(LookupError):
        table.get("none")


def test_a_process_is_known_again(store: Store) -> None:
    """One for each server and kind; a later one takes the place of the one before."""
    tunnels, others = ProcessTable(store, "tunnel"), ProcessTable(store, "compose")
    tunnels.record("srv_a", ProcessIdentity("boot", 6, 98, "/x", ()), "before")
    tunnels.record("SRV_A", TUNNEL, "now")
    others.record("srv_a", TUNNEL, "now")
    assert list(tunnels.all().values()) == [(TUNNEL, "now")]
    tunnels.forget("srv_a")
    tunnels.forget("srv_a")
    assert tunnels.all() == {}
    assert others.all() == {"srv_a": (TUNNEL, "now")}


def test_an_orphan_is_remembered_until_it_is_gone(store: Store) -> None:
    """Once, however often it is added, whatever the id's case."""
    table = OrphanTable(store)
    table.add("srv_a")
    table.add("SRV_A")
    assert table.all() == ["srv_a"]
    assert table.find("Srv_A") == "srv_a"
    table.remove("SRV_a")
    assert table.find("srv_a") is None


def test_a_wrong_type_does_not_get_in(store: Store) -> None:
    """The tables are strict: text in a number's place is a fault of ours, found at once."""
    with pytest.raises(sqlite3.IntegrityError):
        store.change(Failpoint.SERVER_WRITTEN, "INSERT INTO ports VALUES ('text', 'tcp', 'srv_a')")


def test_a_later_operation_sorts_behind_though_the_clock_was_set_back(store: Store) -> None:
    """The newest is the one asked for last, whatever the wall clock says, to the next agent too."""
    now = 10**18
    first = OperationTable(store, lambda: now).begin("srv_a_00000001", OperationKind.START)
    set_back = OperationTable(store, lambda: now - 3600 * 10**9)
    later = [set_back.begin("srv_a_00000001", kind) for kind in (OperationKind.STOP, OperationKind.KILL)]
    ids = [operation.operation_id for operation in (first, *later)]
    assert ids == sorted(ids)
    newest = set_back.last_for("srv_a_00000001")
    assert newest is not None
    assert newest.kind is OperationKind.KILL
