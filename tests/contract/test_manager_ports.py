"""The deployed manager picks the public ports itself: what the agent makes of its answer."""

import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.models import Ports, ServerSpec, TunnelState
from core.orphans import OrphanTable
from core.servers import Server, ServerTable
from core.settings import Settings, load_settings
from core.store import Store
from provisioning.asker import Asker
from provisioning.instances import Instances
from provisioning.view import Facts, view_of
from rathole.manager import InstanceManager
from rathole.status import TunnelStatus
from tests.fakes.manager import FakeManager

ID = "srv_42_1a2b3c4d"
REQUESTED, GRANTED = Ports(30012, 30013), Ports(40000, 40001)


@pytest.fixture
def manager() -> Iterator[FakeManager]:
    """Return a manager as deployed."""
    manager = FakeManager()
    yield manager
    manager.close()


@pytest.fixture
def table(tmp_path: Path) -> ServerTable:
    """Return a table that holds one server."""
    table = ServerTable(Store(tmp_path / "agent.db"))
    table.add(ServerSpec(server_id=ID, server_name="x", game_port=REQUESTED.game, beacon_port=REQUESTED.beacon))
    return table


def settings_for(manager: FakeManager, policy: str) -> Settings:
    """Return the settings of an agent with this manager."""
    environ = {
        "HOST_AGENT_API_KEY": "0123456789abcdef",
        "RATHOLE_INSTANCE_MANAGER_HOST": "127.0.0.1",
        "RATHOLE_INSTANCE_MANAGER_PORT": str(manager.port),
        "PORT_POLICY": policy,
    }
    return load_settings(environ)


def ask(manager: FakeManager, table: ServerTable, tmp_path: Path, policy: str) -> Server:
    """Have the manager asked, and return what is then known of the server."""
    settings = settings_for(manager, policy)
    orphans = OrphanTable(Store(tmp_path / "agent.db"))
    instances = Instances(InstanceManager(settings), settings, table, orphans, clock=time.monotonic)
    instances.ask(known(table), Asker())
    assert instances.fault(ID) is None
    return known(table)


def known(table: ServerTable) -> Server:
    """Return the server of these tests."""
    server = table.get(ID)
    assert server is not None
    return server


@pytest.mark.parametrize(("policy", "ports"), [("follow", GRANTED), ("keep", REQUESTED)])
def test_the_tunnel_leads_to_the_ports_that_the_game_has(
    manager: FakeManager, table: ServerTable, tmp_path: Path, policy: str, ports: Ports
) -> None:
    """Its file names the ports asked for; the game that follows has the granted ones, one that keeps has its own."""
    server = ask(manager, table, tmp_path, policy)

    assert server.public_ports == GRANTED
    assert server.client_config is not None
    services = tomllib.loads(server.client_config)["client"]["services"]
    assert {name: service["local_addr"] for name, service in services.items()} == {
        f"{ID}_game_tcp": f"{ID}:{ports.game}",
        f"{ID}_game_udp": f"{ID}:{ports.game}",
        f"{ID}_query": f"{ID}:{ports.beacon}",
    }


@pytest.mark.parametrize(("policy", "told"), [("follow", ("up", None)), ("keep", ("degraded", "port_mismatch"))])
def test_a_game_that_keeps_its_ports_is_reported(
    manager: FakeManager, table: ServerTable, tmp_path: Path, policy: str, told: tuple[str, str | None]
) -> None:
    """The tunnel is connected, and still nobody can play: a player who connects to another port does not get in."""
    server = ask(manager, table, tmp_path, policy)
    up = TunnelStatus(TunnelState.UP, None, "All services of the tunnel are connected.", since="2026-01-01T00:00:00Z")

    tunnel = view_of(Facts(settings_for(manager, policy), server, None, up, None, None, in_container=True)).tunnel

    assert (tunnel.state, tunnel.reason) == told
    assert ("PORT_POLICY" in tunnel.message) == (policy == "keep")
