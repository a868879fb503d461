"""What tests of several modules need: an orchestrator."""

from collections.abc import Iterator

import pytest

from tests.fakes.orchestrator import FakeOrchestrator, running_orchestrator


@pytest.fixture
def orchestrator() -> Iterator[FakeOrchestrator]:
    """Return one that runs."""
    with running_orchestrator() as fake:
        yield fake
