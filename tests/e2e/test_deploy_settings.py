"""The deploy script with settings that cannot be used, and after them, with the host's own Compose and engine."""

import re
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.conftest import Script
from tests.e2e.deployment import AGENT, HOME, PROJECT, ROOT, Deployment

pytestmark = pytest.mark.timeout(300)

Set = Callable[[str, str], None]
SETTINGS = HOME / "env"
BAD_PORT = ("HOST_AGENT_PORT", "99999")
_UP = f"""for part in say settings compose; do source "scripts/$part.sh"; done
PROJECT={PROJECT} ENV_FILE={SETTINGS} AGENT_CONTAINER={AGENT}
compose up --detach
"""


def compose_up() -> int:
    """Bring it up as the script did before it looked at the settings; Compose's exit code."""
    return subprocess.run(["/bin/bash", "-c", _UP], cwd=ROOT, capture_output=True, timeout=120, check=False).returncode


@pytest.fixture
def set_to(script: Script) -> Iterator[Set]:  # noqa: ARG001 - it deploys once more, after this has put all back
    """Return what changes a setting; all are as they were after the test."""
    before = SETTINGS.read_text()

    def set_to(name: str, value: str) -> None:
        SETTINGS.write_text(f"{before}{name}={value}\n")

    yield set_to
    SETTINGS.write_text(before)


def run_of_agent(deployment: Deployment) -> tuple[str, str]:
    """The agent's container, and since when it runs."""
    return deployment.agent.id or "", deployment.agent.attrs["State"]["StartedAt"]


def leftovers(deployment: Deployment) -> list[str]:
    """The agent's containers under the names that Compose gave them while it replaced them."""
    return [name for c in deployment.containers() if re.fullmatch(rf"[0-9a-f]+_{AGENT}", name := c.name or "")]


@pytest.mark.parametrize(
    ("name", "value"),
    [BAD_PORT, ("MAX_SERVERS", "abc"), ("HOST_AGENT_API_KEY", "short"), ("HOST_AGENT_BIND", "192.0.2.1")],
)
def test_a_wrong_setting_leaves_the_agent_that_runs(
    deployment: Deployment, script: Script, set_to: Set, name: str, value: str
) -> None:
    """It is named, nothing is touched, and once it is right nothing had changed."""
    good = SETTINGS.read_text()
    script()
    before = run_of_agent(deployment)
    set_to(name, value)
    said = script(fails=True)
    assert name in said
    assert "The running agent was left as it is." in said
    assert run_of_agent(deployment) == before
    SETTINGS.write_text(good)
    assert "Nothing has changed" in script()
    assert run_of_agent(deployment) == before


def leave_behind(deployment: Deployment, set_to: Set, *, running: bool) -> None:
    """Have Compose fail to replace the agent; where it shall run, start what was renamed."""
    good = SETTINGS.read_text()
    set_to(*BAD_PORT)
    assert compose_up() != 0
    if not leftovers(deployment):  # a younger Compose than 1.29.2 refuses before it touches anything
        deployment.agent.rename(f"0123456789ab_{AGENT}")
    SETTINGS.write_text(good)
    (left,) = leftovers(deployment)
    if running:
        deployment.container(left).start()


@pytest.mark.parametrize("running", [False, True])
def test_an_agent_that_compose_renamed_is_mended(
    deployment: Deployment, script: Script, set_to: Set, *, running: bool
) -> None:
    """The next deployment is a success, whatever a failed one left behind."""
    leave_behind(deployment, set_to, running=running)
    assert "Tunnels: by the manager at" in script()
    assert deployment.answers()
    assert leftovers(deployment) == []


def test_an_agent_that_compose_renamed_is_taken_away(deployment: Deployment, script: Script, set_to: Set) -> None:
    """`--down` does not say that there is none while one listens."""
    leave_behind(deployment, set_to, running=True)
    assert "The agent is gone" in script("--down")
    assert not [c.name for c in deployment.containers() if AGENT in (c.name or "")]
