"""A host in memory, and one agent on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.world import Agent, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Return a host on which nothing runs yet; in the end no rule about tunnels may have been broken."""
    made = World(tmp_path)
    yield made
    made.end()
    assert made.engine.harm == []


@pytest.fixture
def agent(world: World) -> Agent:
    """Return an agent at work."""
    return world.boot()
