"""A tunnel that says it is connected and lets no player through: begun anew three times, then left to a person."""

from collections.abc import Iterator

import pytest

from core.failpoints import Failpoint
from tests.e2e.walk.deployment import EDGE, Deployment, run
from tests.e2e.walk.life import Life, Step
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(200)

# Waits for the public UDP port on the VPS and keeps it, of which rathole tells its own log only.
_HOLD = """
import os, pathlib, signal, socket, sys
held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try:
        held.bind(("0.0.0.0", int(sys.argv[1])))
    except OSError:
        continue
    pathlib.Path("/tmp/holder").write_text(str(os.getpid()))
    signal.pause()
"""
_KILL_SERVER = """
import psutil
[server] = [p for p in psutil.process_iter(["cmdline"]) if "--server" in p.info["cmdline"]]
server.kill()
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
    assert life.ask(Step.PROVISION).status_code == 200
    wait_until(lambda: life.is_right(Step.PROVISION), within=30, saying="it is reached")
    life.deployment.forget_trace()
    _in_edge(_HOLD, str(life.ports[0]), detach=True)
    _in_edge(_KILL_SERVER)
    wait_until(lambda: _in_edge(_HELD) is None, within=10, saying="the port is held")

    def agent() -> dict[str, object]:
        found: dict[str, object] = life.deployment.status(life.id)["agent"]
        return found

    wait_until(lambda: agent()["reason"] == "data_path_failed", within=60, saying=f"it is said: {agent()}", every=0.25)
    message = str(agent()["message"])
    assert f"{life.ports[0]}/udp" in message
    assert "Address already in use" in message
    assert life.deployment.trace()[Failpoint.TUNNEL_BOUNCED] == 3
    _in_edge(_FREE)
    wait_until(lambda: agent()["phase"] == "ready", within=20, saying="it is whole", every=0.25)
    assert life.deployment.trace()[Failpoint.TUNNEL_BOUNCED] == 3
