"""The deploy script's options and what it asks of Docker, with a fake client that writes its calls down."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.deploy.shell import ROOT, bash, fake, with_path

CALLS = "calls"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the script needs, so that no settings file of this checkout is touched."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("deploy-host-agent.sh", ".env.example", "docker-compose.yml"):
        shutil.copy(ROOT / name, tmp_path)
    fake_docker(tmp_path)
    return tmp_path


def fake_docker(checkout: Path, answers: str = "") -> None:
    """A Docker that notes each call, and answers the calls that `answers` (lines of a shell `case`) names."""
    fake(checkout / "bin", "dockerd", "")
    fake(checkout / "bin", "docker", f'echo "$*" >>{checkout}/{CALLS}\ncase "$*" in\n{answers}\nesac')


def deploy(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script there with that Docker."""
    return subprocess.run(
        [checkout / "deploy-host-agent.sh", *arguments],
        env=with_path(checkout / "bin"),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def calls(checkout: Path) -> str:
    """All that Docker was asked for, a line each."""
    return (checkout / CALLS).read_text()


AGENT_IS_THERE = '"inspect"*"{{.Id}} satis-host-agent") echo abc ;;'


def test_help_names_every_option(checkout: Path) -> None:
    """And asks nothing of Docker."""
    said = deploy(checkout, "--help").stdout
    for option in ("--install", "--demo", "--down", "--games", "--help"):
        assert option in said
    assert not (checkout / CALLS).exists()


@pytest.mark.parametrize(
    "arguments", [["--nonsense"], ["--games"], ["--demo", "--down", "--games"], ["--demo", "--games"]]
)
def test_what_makes_no_sense_is_refused(checkout: Path, arguments: list[str]) -> None:
    """Before anything is done, with a pointer to the help."""
    result = deploy(checkout, *arguments)
    assert result.returncode == 1
    assert "--help" in result.stderr
    assert not (checkout / CALLS).exists()


def test_down_takes_the_agent_away_and_nothing_else(checkout: Path) -> None:
    """Not the network, which stopped games need; and it says what that means for players."""
    fake_docker(checkout, AGENT_IS_THERE)
    result = deploy(checkout, "--down")
    assert result.returncode == 0, result.stderr
    assert "stop --time 45 satis-host-agent\n" in calls(checkout)
    assert "rm --force --volumes satis-host-agent\n" in calls(checkout)
    assert "network" not in calls(checkout).replace("satis-network-setup", "")
    assert "compose down" not in calls(checkout)
    assert "players are cut off" in result.stdout


def test_down_where_there_is_no_agent_is_a_success(checkout: Path) -> None:
    """It is as was asked."""
    result = deploy(checkout, "--down")
    assert result.returncode == 0
    assert "nothing to do" in result.stdout


def test_down_with_games_and_without_an_agent_says_what_stops_them(checkout: Path) -> None:
    """Games outlive the agent, so "nothing to do" would pass for "they are stopped"."""
    result = deploy(checkout, "--down", "--games")
    assert result.returncode == 0
    assert "deploy it again" in result.stdout


def test_games_are_stopped_by_the_agent_before_it_goes(checkout: Path) -> None:
    """It alone can save them, and must not change what is wanted."""
    fake_docker(checkout, AGENT_IS_THERE)
    assert deploy(checkout, "--down", "--games").returncode == 0
    asked = calls(checkout)
    assert asked.index("exec satis-host-agent python agent.py stop-games") < asked.index("stop --time 45")


def test_the_agent_stays_when_a_game_could_not_be_saved(checkout: Path) -> None:
    """The reason is shown, and nothing is lost."""
    fake_docker(checkout, f'{AGENT_IS_THERE}\n"exec"*stop-games) echo "srv_1: no save"; exit 1 ;;')
    result = deploy(checkout, "--down", "--games")
    assert result.returncode == 1
    assert "srv_1: no save" in result.stderr
    assert "stop --time" not in calls(checkout)


def test_placeholders_stop_the_deployment_before_the_build(checkout: Path) -> None:
    """A copied example is refused by the names of what is missing."""
    shutil.copy(checkout / ".env.example", checkout / ".env")
    result = deploy(checkout)
    assert result.returncode == 1
    assert "HOST_AGENT_API_KEY" in result.stderr
    assert "build" not in calls(checkout)


def test_a_foreign_container_stops_the_deployment(checkout: Path) -> None:
    """Whatever else is named satis-host-agent is not ours to replace."""
    fake_docker(checkout, '"inspect"*"compose.project"*"satis-host-agent") echo xother ;;')
    result = deploy(checkout)
    assert result.returncode == 1
    assert "of the Compose project other and not satis" in result.stderr
    assert "build" not in calls(checkout)


def test_settings_that_the_agent_refuses_stop_the_deployment_before_it_is_replaced(checkout: Path) -> None:
    """The new image is built and looks at them; `up` is never asked for."""
    fake_docker(checkout, '"compose"*" run "*) echo "MAX_SERVERS: wrong."; exit 2 ;;')
    (checkout / ".env").write_text("HOST_AGENT_PORT=1\nADVERTISE_ADDRESS=192.0.2.7\nMAX_SERVERS=abc\n")
    (checkout / "requirements.txt").touch()
    result = deploy(checkout)
    assert result.returncode == 1
    assert "MAX_SERVERS: wrong." in result.stderr
    assert " run --rm --no-deps" in calls(checkout)
    assert " up " not in calls(checkout)


def test_a_bad_port_stops_the_deployment_before_the_build(checkout: Path) -> None:
    """Compose would have taken the agent away before the engine refused it."""
    (checkout / ".env").write_text("HOST_AGENT_PORT=99999\n")
    result = deploy(checkout)
    assert result.returncode == 1
    assert "HOST_AGENT_PORT" in result.stderr
    assert "build" not in calls(checkout)


PARTS = ("say", "settings", "compose")
LABEL = '"network inspect"*'


@pytest.mark.parametrize(
    ("answers", "env", "external", "made"),
    [
        ('"network ls"*) : ;;', "A=1\n", False, True),
        (f'"network ls"*) echo n1 ;;\n{LABEL}) echo satis_network ;;', "A=1\n", False, False),
        (f'"network ls"*) echo n1 ;;\n{LABEL}) echo ;;', "A=1\n", True, False),
        ('"network ls"*) : ;;', "SATIS_NETWORK_EXTERNAL=true\n", True, True),
    ],
)
def test_the_network_is_made_or_taken_as_it_is(
    checkout: Path, answers: str, env: str, *, external: bool, made: bool
) -> None:
    """Ours, with the label that Compose 2 asks for; one that others made is marked as external in the settings."""
    fake_docker(checkout, answers)
    (checkout / ".env").write_text(env)
    result = bash("ENV_FILE=.env; ensure_network", checkout, parts=PARTS, env=with_path(checkout / "bin"))
    assert result.returncode == 0, result.stderr
    assert ("SATIS_NETWORK_EXTERNAL=true" in (checkout / ".env").read_text()) is external
    create = "network create --label com.docker.compose.network=satis_network satis_network\n"
    assert (create in calls(checkout)) is made


def test_twins_of_the_network_are_named(checkout: Path) -> None:
    """Docker's names are not unique, and every `up` refuses an ambiguous one."""
    fake_docker(checkout, '"network ls"*) echo n1; echo n2 ;;')
    (checkout / ".env").write_text("")
    result = bash("ENV_FILE=.env; ensure_network", checkout, parts=PARTS, env=with_path(checkout / "bin"))
    assert result.returncode == 1
    assert "n1 n2" in result.stderr


def test_compose_sees_the_settings_file_only(checkout: Path) -> None:
    """What the caller has exported would otherwise take its place: a demo on the data of the real agent."""
    fake_docker(checkout, '"compose version"*) : ;;\n"compose --project-name p"*) env ;;')
    env = with_path(checkout / "bin", {"SATIS_DATA_DIR": "/data", "DOCKER_HOST": "unix:///x.sock"})
    snippet = "PROJECT=p ENV_FILE=.env; compose up"
    said = bash(snippet, checkout, parts=PARTS, env=env).stdout
    assert "SATIS_DATA_DIR" not in said
    assert "DOCKER_HOST=unix:///x.sock" in said


def test_a_container_that_ends_is_not_waited_for(checkout: Path) -> None:
    """Settings that the agent refuses are known at once, not after the deadline."""
    fake_docker(checkout, '"exec"*) exit 1 ;;\n"inspect"*) echo restarting ;;')
    snippet = "AGENT_CONTAINER=a; until_ready"
    assert bash(snippet, checkout, parts=PARTS, env=with_path(checkout / "bin")).returncode == 1
