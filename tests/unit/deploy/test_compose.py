"""What the deploy script finds and says of the agent's container, with a Docker that writes its calls down."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.deploy.shell import bash, fake, with_path

PARTS = ("say", "settings", "compose")
OURS = "PROJECT=p ENV_FILE=.env AGENT_CONTAINER=satis-host-agent"
LEFTOVER = "0123456789ab_satis-host-agent"
IS_LEFT = f'"ps"*satis-host-agent*) echo {LEFTOVER} ;;'
PORTS = '"inspect"*PortBindings*'


def run(folder: Path, snippet: str, answers: str) -> subprocess.CompletedProcess[str]:
    """Run that with a Docker that gives those answers."""
    fake(folder / "bin", "docker", f'echo "$*" >>calls\ncase "$*" in\n{answers}\nesac')
    return bash(f"{OURS}\n{snippet}", folder, parts=PARTS, env=with_path(folder / "bin"))


def test_a_renamed_agent_gets_its_name_back(tmp_path: Path) -> None:
    """It may run and hold the tunnels, so it is not removed."""
    run(tmp_path, "restore_names satis-host-agent", IS_LEFT)
    calls = (tmp_path / "calls").read_text()
    assert f"rename {LEFTOVER} satis-host-agent\n" in calls
    assert "rm " not in calls


def test_a_leftover_whose_name_is_taken_goes(tmp_path: Path) -> None:
    """Two containers of one service would confuse Compose."""
    run(tmp_path, "restore_names satis-host-agent", f'{IS_LEFT}\n"inspect"*"{{{{.Id}}}} "*) echo abc ;;')
    calls = (tmp_path / "calls").read_text()
    assert f"rm --force --volumes {LEFTOVER}\n" in calls
    assert "rename" not in calls


@pytest.mark.parametrize(
    ("state", "held"),
    [('true {"8082/tcp":[]}', True), ('false {"8082/tcp":[]}', False), ('true {"18082/tcp":[]}', False), ("", False)],
)
def test_a_port_is_the_agents_own_where_it_publishes_it(tmp_path: Path, state: str, *, held: bool) -> None:
    """An agent that runs at another port does not make the new one free."""
    result = run(tmp_path, "holds_port 8082", f"{PORTS}) echo '{state}' ;;")
    assert (result.returncode == 0) is held


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("", "b 1", "Made"),
        ("a 1", "a 1", "Nothing has changed"),
        ("a 1", "a 2", "Started"),
        ("a 1", "b 2", "Replaced"),
    ],
)
def test_a_deployment_says_what_it_changed(tmp_path: Path, before: str, after: str, says: str) -> None:
    """By the container and the time at which it was started."""
    result = run(tmp_path, f"say_what_changed '{before}'", f"inspect*) echo '{after}' ;;")
    assert result.stdout.startswith(says)
    assert "satis-host-agent" in result.stdout


@pytest.mark.parametrize(("code", "shown"), [("1", True), ("0", False), ("", False)])
def test_the_network_check_is_shown_where_it_failed(tmp_path: Path, code: str, *, shown: bool) -> None:
    """Else its line would stand behind the reason, as if it were one."""
    answers = f"""{CONFIG}
"inspect"*ExitCode*) echo {code} ;;
"logs"*) echo "satis_network: its driver is macvlan" ;;"""
    result = run(tmp_path, "start_agent", answers)
    assert result.returncode == 1
    assert "no such file" in result.stderr
    assert ("macvlan" in result.stdout) is shown


CONFIG = '"compose version"*) : ;;\n"compose"*" up "*) echo "no such file" >&2; exit 1 ;;'
