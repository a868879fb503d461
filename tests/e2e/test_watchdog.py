"""A tunnel that says it is connected and lets no player through: begun anew three times, then left to a person."""

from collections.abc import Iterator

import pytest

from core.failpoints import Failpoint
from tests.e2e.walk.deployment import EDGE, Deployment, run
from tests.e2e.walk.life import Life, Step
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(200)

# Takes the public UDP port on the VPS away, of which rathole tells its own log only.
_HOLD = """
import os, pathlib, signal, socket, sys
held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
held.bind(("0.0.0.0", int(sys.argv[1])))
pathlib.Path("/tmp/holder").write_text(str(os.getpid()))
signal.pause()
"""
_FREE = "import os, pathlib; os.kill(int(pathlib.Path('/tmp/holder').read_text()), 9)"
_HELD = "import pathlib; assert pathlib.Path('/tmp/holder').read_text()"


@pytest.fixture
def life() -> Iterator[Life]:
    """Return a server to be, of an agent whose patience with a silent tunnel is 2 s."""
    deployment = Deployment()
    try:
        deployment.up(WATCHDOG_SECONDS=2)
        yield Life(deployment, 1)
    finally:
        deployment.down()


def _in_edge(code: str, *words: str, detach: bool = False) -> None:
    run("docker", "exec", *(["--detach"] if detach else []), EDGE, "python", "-c", code, *words)


def test_three_bounces_then_it_is_said_and_whole_once_mended(life: Life) -> None:
    """The game answers on this host, the tunnel is up, and the VPS could not bind the port that players send to."""
    _in_edge(_HOLD, str(life.ports[0]), detach=True)
    wait_until(lambda: _in_edge(_HELD) is None, within=10, saying="the port is held")
    assert life.ask(Step.PROVISION).status_code == 200

    def agent() -> dict[str, object]:
        found: dict[str, object] = life.deployment.status(life.id)["agent"]
        return found

    wait_until(lambda: agent()["reason"] == "data_path_failed", within=40, saying="it is said", every=0.25)
    message = str(agent()["message"])
    assert f"{life.ports[0]}/udp" in message
    assert "Address already in use" in message
    bounces = life.deployment.trace()[Failpoint.TUNNEL_BOUNCED]
    assert bounces == 1 + 3  # one for the game's first answer
    _in_edge(_FREE)
    wait_until(lambda: agent()["phase"] == "ready", within=20, saying="it is whole", every=0.25)
    assert life.deployment.trace()[Failpoint.TUNNEL_BOUNCED] == bounces
