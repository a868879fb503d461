"""An orchestrator to speak to, and settings that name it."""

from collections.abc import Callable, Iterator

import pytest

from core.settings import Settings, load_settings
from tests.fakes.orchestrator import FakeOrchestrator, running_orchestrator

API_KEY = "marked-key-0123456789"

MakeSettings = Callable[..., Settings]


@pytest.fixture
def orchestrator() -> Iterator[FakeOrchestrator]:
    """Return an orchestrator of the newer age."""
    with running_orchestrator() as fake:
        yield fake


@pytest.fixture
def make_settings() -> MakeSettings:
    """Return a maker of settings that name an orchestrator."""

    def make(fake: FakeOrchestrator | None = None, **values: str) -> Settings:
        where = {"ORCHESTRATOR_HOST": "127.0.0.1", "ORCHESTRATOR_PORT": str(fake.port)} if fake else {}
        return load_settings({"NODE_ID": "node-a", "HOST_AGENT_API_KEY": API_KEY, **where, **values})

    return make
