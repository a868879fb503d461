"""The project's compose file with both ages of Compose, whoever made the network before."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "satis-host-agent:latest"
SUFFIX = "-composetest"
NETWORK = f"satis_network{SUFFIX}"
AGENT = f"satis-host-agent{SUFFIX}"
OLD, NEW = "the host's docker-compose", "the image's docker compose"

Compose = Callable[..., subprocess.CompletedProcess[str]]


def docker(*arguments: str, check: bool = True) -> str:
    """Run a docker command; what it printed."""
    result = subprocess.run(["/usr/bin/docker", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0 or not check, f"docker {arguments}: {result.stderr}"
    return result.stdout.strip()


def remove_all() -> None:
    """Take away whatever a test has made."""
    docker("rm", "-f", AGENT, f"satis-network-setup{SUFFIX}", check=False)
    docker("network", "rm", NETWORK, check=False)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """A folder with our compose file: the network's name and the commands are the test's, all else is ours."""
    content = yaml.safe_load((ROOT / "docker-compose.yml").read_text().replace("satis_network", NETWORK))
    content["services"]["network-setup"]["command"] = "true"
    content["services"]["agent"] |= {"command": "sleep 300", "ports": [], "stop_grace_period": "1s"}
    (tmp_path / "docker-compose.yml").write_text(yaml.safe_dump(content))
    (tmp_path / ".env").write_text(
        f"SATIS_NAME_SUFFIX={SUFFIX}\nSATIS_DATA_DIR={tmp_path}/data\nHOST_AGENT_API_KEY=0123456789abcdef\n"
    )
    remove_all()
    yield tmp_path
    remove_all()


def argv(age: str, folder: Path) -> list[str]:
    """How that age of Compose is called, without its arguments."""
    if age == OLD:
        return ["/usr/bin/docker-compose"]
    inside = ["-v", "/var/run/docker.sock:/var/run/docker.sock", "-v", f"{folder}:{folder}", "-w", str(folder)]
    return ["/usr/bin/docker", "run", "--rm", *inside, IMAGE, "docker", "compose"]


@pytest.fixture(params=[OLD, NEW])
def age(request: pytest.FixtureRequest) -> str:
    """One of both ages."""
    name: str = request.param
    return name


@pytest.fixture
def compose(age: str, project: Path) -> Compose:
    """Run a compose command in the project by one of both ages."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*argv(age, project), "--project-name", "satis-composetest", *arguments],
            cwd=project,
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return run


def test_the_ages_are_the_two_of_debian(age: str, compose: Compose) -> None:
    """Else the tests of this file would try one age twice, and say nothing of the other."""
    version = compose("version", "--short").stdout.strip().removeprefix("v")
    if age == OLD and version != "1.29.2":
        pytest.skip(f"This host's Compose is {version}: that of Debian 12, 1.29.2, is not tested here.")
    assert re.match({OLD: r"1\.29\.2$", NEW: r"2\.\d+\.\d+"}[age], version)


@pytest.mark.parametrize(("bind", "address"), [("", "0.0.0.0"), ("HOST_AGENT_BIND=127.0.0.1\n", "127.0.0.1")])
def test_the_api_is_published_where_the_operator_says(compose: Compose, project: Path, bind: str, address: str) -> None:
    """At all addresses of the host by default, at one where it is named."""
    shutil.copy(ROOT / "docker-compose.yml", project)
    with (project / ".env").open("a") as env:
        env.write(bind)
    result = compose("config")
    assert result.returncode == 0, result.stderr
    (port,) = yaml.safe_load(result.stdout)["services"]["agent"]["ports"]
    if isinstance(port, dict):  # the new age takes it apart
        port = f"{port['host_ip']}:{port['published']}:{port['target']}/{port['protocol']}"
    assert port.removesuffix("/tcp") == f"{address}:8082:8082"


def set_external(folder: Path) -> None:
    """What the deploy script does when it finds a network that others made."""
    with (folder / ".env").open("a") as env:
        env.write("SATIS_NETWORK_EXTERNAL=true\n")


def make_nothing(_: Path) -> None:
    """No network: Compose makes it."""


def make_by_hand(folder: Path) -> None:
    """`docker network create`, as an older installation's notes say."""
    docker("network", "create", NETWORK)
    set_external(folder)


def make_as_ours(_: Path) -> None:
    """With the label by which Compose 2 takes a network for its own, as our script and our agent make it."""
    docker("network", "create", "--label", f"com.docker.compose.network={NETWORK}", NETWORK)


def make_by_another_project(_: Path) -> None:
    """By another Compose project, as the demo's beside a real deployment."""
    labels = (f"com.docker.compose.network={NETWORK}", "com.docker.compose.project=other")
    docker("network", "create", *(f"--label={label}" for label in labels), NETWORK)


def make_as_the_old_compose(folder: Path) -> None:
    """By docker-compose 1.29.2, as the earlier deployment of a host that has Compose 2 now."""
    subprocess.run([*argv(OLD, folder), "-p", "earlier", "up", "-d"], cwd=folder, check=True, capture_output=True)
    docker("rm", "-f", AGENT, f"satis-network-setup{SUFFIX}")


@pytest.mark.parametrize(
    "before", [make_nothing, make_by_hand, make_as_ours, make_by_another_project, make_as_the_old_compose]
)
def test_up_works_whoever_made_the_network(compose: Compose, project: Path, before: Callable[[Path], None]) -> None:
    """The agent stands on the one network of the name, under its alias."""
    before(project)
    result = compose("up", "-d")
    assert result.returncode == 0, result.stderr
    assert len(docker("network", "ls", "-q", "--filter", f"name=^{NETWORK}$").split()) == 1
    aliases = docker(
        "inspect",
        "-f",
        f'{{{{range (index .NetworkSettings.Networks "{NETWORK}").Aliases}}}}{{{{.}}}} {{{{end}}}}',
        AGENT,
    )
    assert f"host-agent{SUFFIX}" in aliases.split()
    assert docker("exec", AGENT, "hostname") == f"host-agent{SUFFIX}"


def test_a_second_up_recreates_nothing(compose: Compose) -> None:
    """The agent's tunnels live in its container."""
    compose("up", "-d")
    before = docker("inspect", "-f", "{{.Id}} {{.State.StartedAt}}", AGENT)
    assert compose("up", "-d").returncode == 0
    assert docker("inspect", "-f", "{{.Id}} {{.State.StartedAt}}", AGENT) == before


def test_a_check_of_the_settings_touches_nothing(compose: Compose, project: Path) -> None:
    """The deploy script's, beside an agent that runs: it gets the same settings and data, and leaves no container."""
    compose("up", "-d")
    before = docker("inspect", "-f", "{{.Id}} {{.State.StartedAt}}", AGENT)
    with (project / ".env").open("a") as env:
        env.write('MAX_SERVERS="7"\n')
    said = compose("run", "--rm", "--no-deps", "-T", "agent", "sh", "-c", f"ls {project}; echo $MAX_SERVERS")
    assert said.returncode == 0, said.stderr
    assert said.stdout.split() == ["data", "7"]
    assert docker("inspect", "-f", "{{.Id}} {{.State.StartedAt}}", AGENT) == before
    ours = docker(
        "ps", "-a", "--filter", "label=com.docker.compose.project=satis-composetest", "--format", "{{.Names}}"
    )
    assert set(ours.split()) == {AGENT, f"satis-network-setup{SUFFIX}"}


def test_the_agents_container_is_confined(compose: Compose) -> None:
    """Read-only root, three capabilities, no new privileges, rotated logs, and it comes back by itself."""
    compose("up", "-d")
    template = "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} "
    template += "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.LogConfig.Config}}"
    assert docker("inspect", "-f", template, AGENT) == (
        "true [ALL] [no-new-privileges] always map[max-file:3 max-size:10m]"
    )
    effective = docker("exec", AGENT, "grep", "CapEff", "/proc/self/status").split()[1]
    assert int(effective, 16) == 0b1011  # CHOWN, DAC_OVERRIDE, FOWNER


def test_a_tree_of_the_games_user_can_be_read_and_deleted(compose: Compose, project: Path) -> None:
    """A game's files belong to uid 1000 with mode 0600: root without capabilities could not even read them."""
    compose("up", "-d")
    tree = f"{project}/data/game"
    make = f"mkdir -m 700 {tree} && echo save >{tree}/a.sav && chmod 600 {tree}/a.sav && chown -R 1000:1000 {tree}"
    docker("run", "--rm", "-v", f"{project}/data:{project}/data", IMAGE, "sh", "-c", make)
    assert docker("exec", AGENT, "cat", f"{tree}/a.sav") == "save"
    docker("exec", AGENT, "rm", "-r", tree)
    assert not (project / "data" / "game").exists()


def test_a_failed_network_check_keeps_the_agent_down(compose: Compose, project: Path) -> None:
    """Where no server could be reached, `up` fails and says which service refused."""
    file = project / "docker-compose.yml"
    content = yaml.safe_load(file.read_text())
    content["services"]["network-setup"]["command"] = "false"
    file.write_text(yaml.safe_dump(content))
    result = compose("up", "-d")
    assert result.returncode != 0
    assert "network-setup" in result.stderr
    assert docker("inspect", "-f", "{{.State.Running}}", AGENT, check=False) in {"false", ""}


def test_without_the_demo_profile_no_edge_is_started(compose: Compose) -> None:
    """A real deployment has its VPS elsewhere."""
    compose("up", "-d")
    assert docker("ps", "-aq", "--filter", f"name=satis-edge{SUFFIX}") == ""
