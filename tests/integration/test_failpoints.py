"""The agent dies right behind what a host sees once, whatever the number of its servers: the network, the image.

What is of one server is walked in tests/e2e/test_failpoints.py; here a piece of the agent dies, and a whole one in
tests/e2e/nested/test_failpoints.py.
"""

import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.engine import Engine
from compose.network import ensure_network
from core.failpoints import Failpoint
from tests.fakes.registry import Registry, smallest_image

ROOT = Path(__file__).resolve().parents[2]
DIED = 137


def die_at(point: Failpoint, code: str) -> int:
    """Run a piece of the agent that is to die at a point; return its exit code."""
    argv = [sys.executable, "-c", f"from compose.engine import Engine\n{code}"]
    return subprocess.run(argv, cwd=ROOT, env={"FAILPOINT": point}, check=False, timeout=60).returncode


def docker(*words: str) -> None:
    """Clean up with Docker's own program."""
    argv = ["docker", *words]
    subprocess.run(argv, capture_output=True, check=False, timeout=60)


@pytest.fixture
def name() -> Iterator[str]:
    """Return the name of a network, which is removed afterwards."""
    mine = f"satis_t_{uuid.uuid4().hex[:8]}"
    yield mine
    docker("rm", "--force", mine)
    docker("network", "rm", mine)


def test_a_network_made_by_an_agent_that_died_is_used(name: str) -> None:
    """The next one finds it and makes no twin, though Docker would let it."""
    code = f"from compose.network import ensure_network\nensure_network(Engine(), {name!r})"
    assert die_at(Failpoint.NETWORK_MADE, code) == DIED
    assert die_at(Failpoint.NETWORK_MADE, code) == 0
    assert len(Engine().networks(name)) == 1


def test_a_container_joined_by_an_agent_that_died_is_a_member(name: str) -> None:
    """The next one sees it there and joins nothing twice."""
    engine = Engine()
    network = ensure_network(engine, name)
    docker("run", "--detach", "--name", name, "satis-base:trixie", "sleep", "60")
    container = engine.container(name)
    assert container
    code = f"""
from compose.network import ensure_member, ensure_network
engine = Engine()
ensure_member(engine, ensure_network(engine, {name!r}), {container.id!r}, 'alias')"""
    assert die_at(Failpoint.NETWORK_JOINED, code) == DIED
    assert die_at(Failpoint.NETWORK_JOINED, code) == 0
    joined = engine.container(name)
    assert joined
    assert joined.network_ids[name] == network.id


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Yield a registry that runs; its image is removed afterwards."""
    server = Registry(smallest_image())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
    docker("image", "rm", server.image)


def test_an_image_pulled_by_an_agent_that_died_is_there(registry: Registry) -> None:
    """The next one need not pull it; a pull that was cut off would simply be begun again."""
    assert not Engine().image_present(registry.image)
    assert die_at(Failpoint.IMAGE_PULLED, f"Engine().pull({registry.image!r})") == DIED
    assert Engine().image_present(registry.image)
