"""What the deploy script looks at before it touches an agent that runs, with a Docker that writes its calls down."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.deploy.shell import ROOT, bash, fake, with_path

PARTS = ("say", "install", "base-image", "build", "settings", "compose", "checks")
OURS = "PROJECT=p ENV_FILE=.env AGENT_CONTAINER=satis-host-agent"
RUNS = '"inspect"*"{{.State.Running}} satis-host-agent") echo true ;;'
LEFT = "The running agent was left as it is."
# Runs a container's command here.
RUN = f'"run"*) while [ "$1" != python ]; do shift; done; shift; exec {sys.executable} "$@" ;;'
CHECK = '"compose"*" run "*'


def run(folder: Path, snippet: str, *, env: str = "", answers: str = "") -> subprocess.CompletedProcess[str]:
    """Run that with those settings and a Docker that gives those answers."""
    (folder / ".env.example").write_text((ROOT / ".env.example").read_text())
    (folder / ".env").write_text(env)
    fake(folder / "bin", "docker", f'echo "$*" >>calls\ncase "$*" in\n{answers}\nesac')
    return bash(f"{OURS}\n{snippet}", folder, parts=PARTS, env=with_path(folder / "bin"))


def test_a_misspelt_setting_is_named(tmp_path: Path) -> None:
    """Names only, never values; those of the example, commented out or not, and of the scripts pass."""
    env = "GAME_SERVERIMAGE=foo\nHOST_AGENT_API_KEY=x\nMAX_SERVERS=3\nCOMPOSE_PROJECT_NAME=satis\n# MADE_UP=1\n"
    result = run(tmp_path, "warn_of_unknown_settings", env=env)
    assert result.returncode == 0
    (warning,) = result.stdout.splitlines()
    assert "GAME_SERVERIMAGE" in warning
    assert "foo" not in warning


@pytest.mark.parametrize(
    ("env", "answers", "warns"),
    [
        ("ORCHESTRATOR_NETWORK=orch\n", '"network inspect orch") exit 1 ;;', True),
        ("ORCHESTRATOR_NETWORK=orch\n", "", False),
        ("", '"network inspect"*) exit 1 ;;', False),
    ],
)
def test_a_network_that_is_not_there_is_said(tmp_path: Path, env: str, answers: str, *, warns: bool) -> None:
    """The orchestrator's, by its name; the agent waits for it."""
    result = run(tmp_path, "warn_of_missing_network", env=env, answers=answers)
    assert result.returncode == 0
    assert ("no Docker network orch" in result.stdout) is warns


@pytest.mark.parametrize("port", ["0", "65536", "99999", "123456", "80a", '"8082"', "-1"])
def test_a_bad_port_is_refused(tmp_path: Path, port: str) -> None:
    """By the setting's name, and it is said that an agent that runs was not touched."""
    result = run(tmp_path, f"refuse_bad_port '{port}'; echo went on", answers=RUNS)
    assert result.returncode == 1
    assert "HOST_AGENT_PORT" in result.stderr
    assert LEFT in result.stderr
    assert not result.stdout


@pytest.mark.parametrize("port", ["1", "8082", "65535"])
def test_a_good_port_passes(tmp_path: Path, port: str) -> None:
    """The whole range, as the agent itself takes it."""
    assert run(tmp_path, f"refuse_bad_port {port}").returncode == 0


def test_nobody_is_left_where_nobody_runs(tmp_path: Path) -> None:
    """A first deployment hears of no running agent."""
    assert LEFT not in run(tmp_path, "refuse_bad_port 0").stderr


@pytest.mark.parametrize("bind", ["", "0.0.0.0", "127.0.0.1"])
def test_an_address_of_this_host_passes(tmp_path: Path, bind: str) -> None:
    """As the kernel says."""
    assert run(tmp_path, "refuse_bad_bind", env=f"HOST_AGENT_BIND={bind}\n", answers=RUN).returncode == 0


@pytest.mark.parametrize("bind", ["192.0.2.1", "localhost", "eth0"])
def test_another_address_is_refused(tmp_path: Path, bind: str) -> None:
    """Docker takes addresses only, and only those of this host."""
    result = run(tmp_path, "refuse_bad_bind", env=f"HOST_AGENT_BIND={bind}\n", answers=f"{RUNS}\n{RUN}")
    assert result.returncode == 1
    assert f"HOST_AGENT_BIND in .env is {bind}" in result.stderr
    assert "Traceback" not in result.stderr
    assert LEFT in result.stderr


def test_settings_that_the_agent_refuses_are_said_in_its_words(tmp_path: Path) -> None:
    """And not in Compose's; the agent that runs is left."""
    answers = f'{RUNS}\n{CHECK}) echo chatter >&2; echo "MAX_SERVERS: wrong."; exit 2 ;;'
    result = run(tmp_path, "check_settings; echo went on", answers=answers)
    assert result.returncode == 1
    assert "MAX_SERVERS: wrong.\n" in result.stderr
    assert LEFT in result.stderr
    assert "chatter" not in result.stderr
    assert "went on" not in result.stdout


def test_a_check_that_does_not_run_says_why(tmp_path: Path) -> None:
    """Compose's own reason, where it refuses the file before any container."""
    result = run(tmp_path, "check_settings", answers=f"{CHECK}) echo 'undefined volume' >&2; exit 1 ;;")
    assert result.returncode == 1
    assert "undefined volume" in result.stderr


def test_good_settings_pass_without_a_secret_on_a_command_line(tmp_path: Path) -> None:
    """Everybody may read the process list."""
    result = run(tmp_path, "check_settings", env="HOST_AGENT_API_KEY=0123456789abcdef\n")
    assert result.returncode == 0, result.stderr
    assert "0123456789abcdef" not in (tmp_path / "calls").read_text()
