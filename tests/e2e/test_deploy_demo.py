"""The demo, as a newcomer runs it: one command, on the real engine."""

import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
ENV_FILE = ROOT / ".demo.env"
pytestmark = pytest.mark.timeout(1600)  # the first demo of a machine compiles rathole
AGENT, EDGE, SERVER = "satis-host-agent-demo", "satis-edge-demo", "srv_demo_00000001"
DATA = Path("/var/lib/satis-demo")

Result = subprocess.CompletedProcess[str]


def run(*argv: str, within: float = 60) -> Result:
    """Run a command in the repository's root; its output and exit code."""
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=within, check=False)


def deploy(*arguments: str) -> Result:
    """Run the deploy script; the first image build can take minutes."""
    return run("./deploy-host-agent.sh", *arguments, within=1500)


def field(container: str, template: str) -> str:
    """A field of a container; empty where there is none."""
    return run("docker", "inspect", "--type", "container", "--format", template, container).stdout.strip()


def containers() -> set[str]:
    """The names of all containers."""
    return set(run("docker", "ps", "--all", "--format", "{{.Names}}").stdout.split())


def pids(program: str) -> list[int]:
    """The processes of that name in the agent's container."""
    found = run("docker", "exec", AGENT, "sh", "-c", f"grep -lx {program} /proc/[0-9]*/comm").stdout
    return [int(line.split("/")[2]) for line in found.split()]


@pytest.fixture(scope="module", autouse=True)
def _no_demo_before_or_after() -> Iterator[None]:
    """A demo of somebody's is not ours to take away; our own goes at the end."""
    if AGENT in containers():
        pytest.fail("a demo is running here; take it away first: ./deploy-host-agent.sh --demo --down")
    yield
    deploy("--demo", "--down")


@pytest.fixture
def demo() -> Result:
    """The demo's run; seconds where it is up already."""
    return deploy("--demo")


def test_the_demo_answers_on_all_three_ways(demo: Result) -> None:
    """Exit code 0, and for each way a line with the time it took."""
    assert demo.returncode == 0, demo.stdout + demo.stderr
    for way in ("udp", "https", "tcp"):
        assert re.search(rf"^{way} +127\.0\.0\.1:\d+ +answered in \d+ ms", demo.stdout, re.MULTILINE), demo.stdout


def test_the_demo_tells_no_secret(demo: Result) -> None:
    """Neither its output nor the agent's log holds a key, and the file that does is its owner's alone."""
    settings = dict(line.split("=", 1) for line in ENV_FILE.read_text().splitlines())
    log = run("docker", "logs", AGENT)
    said = demo.stdout + demo.stderr + log.stdout + log.stderr
    for name in ("HOST_AGENT_API_KEY", "RATHOLE_TOKEN"):
        assert len(settings[name]) == 64
        assert settings[name] not in said
    assert stat.S_IMODE(ENV_FILE.stat().st_mode) == 0o600


def test_the_agent_finds_the_game_by_its_name(demo: Result) -> None:
    """Both stand on satis_network, and the tunnel's configuration names the game, not an address."""
    assert demo.returncode == 0
    members = run("docker", "network", "inspect", "satis_network", "--format", "{{range .Containers}}{{.Name}} {{end}}")
    assert {AGENT, SERVER} <= set(members.stdout.split())
    assert run("docker", "exec", AGENT, "ping", "-c1", SERVER).returncode == 0
    config = run("docker", "exec", AGENT, "cat", str(DATA / "rathole" / SERVER / "client.toml")).stdout
    assert f'"{SERVER}:31800"' in config
    assert "127.0.0.1" not in config


def test_a_second_demo_works_and_changes_nothing(demo: Result) -> None:
    """The same containers, not started again, answer again."""
    assert demo.returncode == 0
    before = [field(name, "{{.Id}} {{.State.StartedAt}}") for name in (AGENT, EDGE, SERVER)]
    again = deploy("--demo")
    assert again.returncode == 0, again.stdout + again.stderr
    assert again.stdout.count("answered in") == 3
    assert [field(name, "{{.Id}} {{.State.StartedAt}}") for name in (AGENT, EDGE, SERVER)] == before


def test_a_killed_gunicorn_leaves_the_container_and_the_tunnel(demo: Result) -> None:
    """The run loop is pid 1's child, so the agent's death is not the container's."""
    assert demo.returncode == 0
    before, started = pids("rathole"), field(AGENT, "{{.State.StartedAt}}")
    master = min(pids("gunicorn"))
    assert run("docker", "exec", AGENT, "bash", "-c", f"kill -9 {master}").returncode == 0
    wait_until(
        lambda: pids("gunicorn") and master not in pids("gunicorn"), within=10, saying="gunicorn did not come back"
    )
    assert pids("rathole") == before
    assert deploy("--demo").stdout.count("answered in") == 3
    assert field(AGENT, "{{.State.StartedAt}}") == started


def test_taking_it_away_leaves_nothing_but_images(demo: Result) -> None:
    """No container, volume, folder or key; of the network only what others are on."""
    assert demo.returncode == 0
    gone = deploy("--demo", "--down")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert not {AGENT, EDGE, SERVER, "satis-network-setup-demo"} & containers()
    assert not ENV_FILE.exists()
    assert not DATA.exists()
    labels = "{{range .}}{{.Labels}}{{end}}"
    assert "satis-demo" not in run("docker", "network", "ls", "--format", labels).stdout
    assert "demo" not in run("docker", "volume", "ls", "--quiet").stdout
    assert deploy("--demo", "--down").returncode == 0


@pytest.mark.parametrize("name", [AGENT, EDGE, SERVER])
def test_a_foreign_container_of_the_same_name_is_left_alone(name: str) -> None:
    """A sentence and exit code 1; what was there stays as it was, and nothing was started beside it."""
    assert deploy("--demo", "--down").returncode == 0
    run("docker", "run", "--detach", "--name", name, "--entrypoint", "sleep", "satis-host-agent:latest", "300")
    try:
        before = field(name, "{{.Id}} {{.State.StartedAt}}")
        refused = deploy("--demo")
        assert refused.returncode == 1
        assert f"a container named {name} is there already" in refused.stderr
        assert field(name, "{{.Id}} {{.State.StartedAt}}") == before
        assert not {AGENT, EDGE, SERVER} - {name} & containers()
    finally:
        run("docker", "rm", "--force", name)
        ENV_FILE.unlink(missing_ok=True)
