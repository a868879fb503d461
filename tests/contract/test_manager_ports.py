"""The deployed manager picks the public ports itself: what the agent makes of its answer."""

import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.models import Ports, ServerSpec
from core.orphans import OrphanTable
from core.servers import Server, ServerTable
from core.settings import load_settings
from core.store import Store
from provisioning.instances import Instances
from rathole.manager import InstanceManager
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


def ask(manager: FakeManager, table: ServerTable, tmp_path: Path, policy: str) -> Server:
    """Have the manager asked, and return what is then known of the server."""
    environ = {
        "HOST_AGENT_API_KEY": "0123456789abcdef",
        "RATHOLE_INSTANCE_MANAGER_HOST": "127.0.0.1",
        "RATHOLE_INSTANCE_MANAGER_PORT": str(manager.port),
        "PORT_POLICY": policy,
    }
    settings = load_settings(environ)
    orphans = OrphanTable(Store(tmp_path / "agent.db"))
    instances = Instances(InstanceManager(settings), settings, table, orphans, clock=time.monotonic)
    instances.ask(known(table), None)
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
