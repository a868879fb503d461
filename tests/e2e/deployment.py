"""A deployment on this machine's Docker, made as the deploy script makes it, with names, ports and data of its own."""

import io
import json
import secrets
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from docker import DockerClient
from docker.models.containers import Container

from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "satis-e2e"
AGENT = "satis-host-agent-e2e"
EDGE = "satis-edge-e2e"
NETWORK = "satis_network"
HOME = Path("/tmp/satis-e2e")
DATA = HOME / "data"
API_PORT = 18183
FIRST_PORT = 31600
PORTS = 10
AGENT_IMAGE = "satis-host-agent:latest"
# Where a registry refuses at once, so that a test may see a pull fail.
GAME_IMAGE = "localhost:1/satis-standin-e2e:latest"

_SCRIPTS = "source scripts/say.sh; source scripts/settings.sh; source scripts/compose.sh"
_OURS = f"""set -euo pipefail
{_SCRIPTS}
PROJECT={PROJECT} ENV_FILE={HOME}/env AGENT_CONTAINER={AGENT}
"""
_UP = f"""{_OURS}
ensure_network com.docker.compose.project={PROJECT}
start_agent --profile demo
"""
_RECREATE = f"""{_OURS}
compose up --detach --force-recreate --no-deps agent
"""

# Prints what is inside the agent's container: every file of ours, every process.
_INSIDE = f"""
import json, pathlib, psutil
keep = ("agent.db", "agent.db-wal", "agent.db-shm")
print(json.dumps({{
    "files": sorted(str(path) for path in pathlib.Path("{DATA}").rglob("*") if path.name not in keep),
    "processes": [p.info for p in psutil.process_iter(["pid", "ppid", "cmdline"])],
}}))
"""
_ASK_MANAGER = """
import os, requests, sys
url = f"http://{os.environ['RATHOLE_INSTANCE_MANAGER_HOST']}:7001/api/instances/{sys.argv[1]}"
print(requests.get(url, headers={"X-API-Token": os.environ["RATHOLE_TOKEN"]}, timeout=10).status_code)
"""


@dataclass(frozen=True)
class Process:
    """A process in the agent's container, by its number there."""

    pid: int
    parent: int
    words: tuple[str, ...]

    def is_rathole(self) -> bool:
        """Whether it is a tunnel's client."""
        return bool(self.words) and Path(self.words[0]).name == "rathole"


@dataclass
class Deployment:
    """An agent and an edge beside whatever else runs on this machine."""

    key: str = field(default_factory=lambda: secrets.token_hex(32))
    rathole_token: str = field(default_factory=lambda: secrets.token_hex(32))
    docker: DockerClient = field(default_factory=DockerClient.from_env)

    def up(self) -> None:
        """Bring it up by the deploy script's own functions, and wait until it is ready."""
        self.clear()
        self.build_game_image()
        HOME.mkdir(mode=0o700)
        (HOME / "env").write_text("".join(f"{name}={value}\n" for name, value in self._settings().items()))
        _run_script(_UP)

    def recreate_agent(self) -> None:
        """Have Compose replace the agent's container, as an upgrade does."""
        _run_script(_RECREATE)

    def rebuild_vps(self) -> None:
        """Have the VPS side begin with nothing: no instance, another key."""
        self.edge.stop(timeout=1)
        self.in_agent("sh", "-c", f"rm -rf {DATA}/edge/*")
        self.edge.start()

    def compose(self, *arguments: str) -> str:
        """Run Compose, of whichever age this host has, on its own services; return what it printed."""
        return _run_script(f"{_OURS}\ncompose --profile demo {shlex.join(arguments)}")

    def _settings(self) -> dict[str, object]:
        return {
            "SATIS_ENV_FILE": HOME / "env",
            "SATIS_NAME_SUFFIX": "-e2e",
            "NODE_ID": "e2e",
            "SATIS_DATA_DIR": DATA,
            "GAME_SERVER_IMAGE": GAME_IMAGE,
            "HOST_AGENT_BIND": "127.0.0.1",
            "HOST_AGENT_PORT": API_PORT,
            "HOST_AGENT_API_KEY": self.key,
            "ORCHESTRATOR_HOST": "",
            "RATHOLE_INSTANCE_MANAGER_HOST": EDGE,
            "RATHOLE_TOKEN": self.rathole_token,
            "RATHOLE_PUBLIC_HOST": "127.0.0.1",
            "EDGE_PORTS": f"{FIRST_PORT}-{FIRST_PORT + PORTS - 1}",
        }

    def build_game_image(self) -> None:
        """Make the stand-in with a volume that nobody names, so that a delete has one to remove."""
        dockerfile = b"FROM satis-standin:latest\nVOLUME /scratch\n"
        self.docker.images.build(fileobj=io.BytesIO(dockerfile), tag=GAME_IMAGE, rm=True)

    def clear(self) -> None:
        """Remove all that carries its names; the agent first, since it would bring its games back."""
        ours = sorted(self.containers(), key=lambda container: container.name != AGENT)
        for container in ours:
            container.remove(force=True, v=True)
        for volume in self.docker.volumes.list(filters={"name": EDGE}):
            volume.remove()
        self._remove_network()
        if HOME.exists():
            self.docker.containers.run(
                AGENT_IMAGE, ["rm", "-rf", "/home-of-tests/data"], volumes=[f"{HOME}:/home-of-tests"], remove=True
            )
            shutil.rmtree(HOME)

    def _remove_network(self) -> None:
        """Only where this deployment made it, and nothing, not even a stopped container, is on it."""
        for network in self.docker.networks.list(
            names=[NETWORK], filters={"label": f"com.docker.compose.project={PROJECT}"}
        ):
            if not self.docker.containers.list(all=True, filters={"network": network.id}):
                network.remove()

    def close(self) -> None:
        """Remove everything, the game's image too."""
        self.clear()
        self.docker.images.remove(GAME_IMAGE, force=True, noprune=True)
        self.docker.close()

    def containers(self) -> list[Container]:
        """Return every container that belongs to it: its own, and the games that its agent made."""
        return [
            container for container in self.docker.containers.list(all=True, ignore_removed=True) if _is_ours(container)
        ]

    def container(self, name: str) -> Container:
        """Return a container as it is now."""
        return self.docker.containers.get(name)

    @property
    def agent(self) -> Container:
        """The agent's container, as it is now."""
        return self.container(AGENT)

    @property
    def edge(self) -> Container:
        """The VPS side's container, as it is now."""
        return self.container(EDGE)

    def call(self, method: str, path: str, *, key: str | None = "", **options: Any) -> requests.Response:  # noqa: ANN401 - requests' own
        """Call the API; with the right key, unless another (or None) is given."""
        headers = options.pop("headers", {})
        if key is not None:
            headers["X-API-Key"] = key or self.key
        return requests.request(method, f"http://127.0.0.1:{API_PORT}{path}", headers=headers, timeout=120, **options)

    def answers(self) -> bool:
        """Whether the API answers at all."""
        return self.call("GET", "/api/health").status_code == 200

    def in_agent(self, *argv: str) -> str:
        """Run a command in the agent's container and return what it printed."""
        code, output = self.agent.exec_run(list(argv))
        text: str = output.decode()
        assert code == 0, f"{argv[:3]} in the agent's container: {text}"
        return text

    def inside(self) -> dict[str, Any]:
        """Return the files and processes in the agent's container."""
        found: dict[str, Any] = json.loads(self.in_agent("python", "-c", _INSIDE))
        return found

    def processes(self) -> list[Process]:
        """Return the processes in the agent's container."""
        return [Process(p["pid"], p["ppid"], tuple(p["cmdline"] or ())) for p in self.inside()["processes"]]

    def tunnel_clients(self, server_id: str) -> list[Process]:
        """Return the rathole clients of one server: never more than one."""
        return [p for p in self.processes() if p.is_rathole() and any(f"/{server_id}/" in word for word in p.words)]

    def master(self) -> Process:
        """Return gunicorn's master: the gunicorn whose parent is none."""
        gunicorns = [p for p in self.processes() if any(word.endswith("/gunicorn") for word in p.words)]
        numbers = {p.pid for p in gunicorns}
        (master,) = [p for p in gunicorns if p.parent not in numbers]
        return master

    def worker(self) -> Process:
        """Return gunicorn's worker, which is the agent itself."""
        master = self.master()
        (worker,) = [p for p in self.processes() if p.parent == master.pid]
        return worker

    def kill(self, process: Process) -> None:
        """Kill a process in the agent's container with -9."""
        self.in_agent("python", "-c", f"import os; os.kill({process.pid}, 9)")

    def instance_status(self, server_id: str) -> int:
        """Return the HTTP status with which the instance manager answers for a server's instance."""
        return int(self.in_agent("python", "-c", _ASK_MANAGER, server_id))

    def footprint(self) -> dict[str, object]:
        """Return all that a refused request must not change: files, rows, containers and tunnels."""
        inside = self.inside()
        return {
            "files": inside["files"],
            "rows": [row["serverId"] for row in self.call("GET", "/api/containers").json()["containers"]],
            "containers": sorted((c.name, c.attrs["State"]["StartedAt"]) for c in self.containers()),
            "tunnels": [p["pid"] for p in inside["processes"] if "rathole" in "".join(p["cmdline"] or ())],
        }


def _run_script(text: str) -> str:
    done = subprocess.run(["/bin/bash", "-c", text], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"a script of the deployment fails:\n{done.stdout}{done.stderr}"
    return done.stdout


def _is_ours(container: Container) -> bool:
    labels = container.labels
    folder = labels.get("com.docker.compose.project.working_dir", "")
    return labels.get("com.docker.compose.project") == PROJECT or folder.startswith(f"{HOME}/")


def wait_until_back(deployment: Deployment, within: float) -> None:
    """Wait until the API answers again."""
    wait_until(deployment.answers, within=within, saying="the agent's API is back")


def python(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of our modules as a command on this host."""
    argv = [sys.executable, "-m", module, *arguments]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
