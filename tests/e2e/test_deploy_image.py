"""What the agent's image holds, and what it does not."""

import json
import subprocess

import pytest

IMAGE = "satis-host-agent:latest"


def in_image(command: str) -> str:
    """Run a shell command in a container of the image; what it printed."""
    argv = ["/usr/bin/docker", "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", IMAGE]
    result = subprocess.run([*argv, "sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, f"{command}: {result.stderr}; is the image built (./deploy-host-agent.sh --demo)?"
    return result.stdout


def test_everything_the_agent_calls_is_there() -> None:
    """Docker's client, Compose 2.26, ping, rathole 0.5.0 and Python 3.13, with all capabilities dropped."""
    assert "2.26" in in_image("docker compose version")
    assert "26.1" in in_image("docker --version")
    assert "0.5.0" in in_image("rathole --version")
    assert "3.13" in in_image("python --version")
    assert "1 received" in in_image("ping -c1 127.0.0.1")


def test_tini_is_pid_1() -> None:
    """Orphans are reaped, and `init: true` with its docker-init on the host is not needed."""
    assert in_image("cat /proc/1/comm").strip() == "tini"


def test_rathole_has_the_features_of_the_recipe_only() -> None:
    """Hot reload would cost one inotify instance per process, of which a user has 128."""
    features = next(line for line in in_image("rathole --version").splitlines() if "Features" in line)
    assert {"client", "server", "noise"} <= set(features.split(":")[1].strip().split(","))
    assert not {"hot-reload", "tls", "websocket"} & set(features.split(":")[1].strip().split(","))


def test_bytecode_is_there_for_a_root_that_is_read_only() -> None:
    """Each start would compile all of it otherwise."""
    assert in_image("ls /app/core/__pycache__/*.pyc /opt/venv/lib/python3*/site-packages/flask/__pycache__/*.pyc")


@pytest.mark.parametrize("path", ["/build", "/app/build", "/var/lib/apt/lists/*", "/var/cache/apt/*", "/app/.env*"])
def test_no_leftovers_and_no_secrets(path: str) -> None:
    """Neither the host's CA bundle, nor package lists, caches or settings are in the image."""
    assert in_image(f"ls -d {path} 2>/dev/null || true") == ""


def test_the_hosts_ca_bundle_is_not_in_the_image() -> None:
    """It is for the builder stages; a machine elsewhere must not come to trust this host's proxy."""
    assert in_image("find / -xdev -name ca-certificates.crt") == ""


def test_the_image_is_small() -> None:
    """350 MB at most."""
    result = subprocess.run(
        ["/usr/bin/docker", "image", "inspect", IMAGE], capture_output=True, text=True, timeout=30, check=True
    )
    assert json.loads(result.stdout)[0]["Size"] <= 350_000_000
