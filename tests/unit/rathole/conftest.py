"""An instance manager on the loopback, and clients that speak to it."""

from collections.abc import Iterator

import pytest

from core.models import Ports
from core.settings import Settings, load_settings
from rathole.manager import InstanceManager
from tests.fakes.manager import FakeManager

ID = "srv_Ab_1a2b3c4d"
PORTS = Ports(game=30012, beacon=30013)
USER, ACCESS, TOKEN = "user-jwt-marked", "access-marked", "rathole-marked"


def settings_for(port: int, **more: str) -> Settings:
    """Return settings that name a manager on this port."""
    named = {
        "NODE_ID": "node",
        "HOST_AGENT_API_KEY": "0123456789abcdef0123456789abcdef",
        "RATHOLE_INSTANCE_MANAGER_HOST": "127.0.0.1",
        "RATHOLE_INSTANCE_MANAGER_PORT": str(port),
    }
    return load_settings({**named, **more})


def client_of(fake: FakeManager, **more: str) -> InstanceManager:
    """Return a client that speaks to the fake."""
    return InstanceManager(settings_for(fake.port, **more))


@pytest.fixture
def fake() -> Iterator[FakeManager]:
    """Run a manager."""
    fake = FakeManager()
    yield fake
    fake.close()
