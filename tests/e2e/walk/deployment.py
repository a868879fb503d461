"""One agent that can be made to die at a failpoint, and one edge."""

import json
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import Any

import requests

from tests.e2e.walk.mortal import Mortal
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
HOME = Path("/tmp/satis-walk")
DATA, CONTROL = HOME / "data", HOME / "control"
AGENT, EDGE = "satis-walk-agent", "satis-walk-edge"
API_PORT, MANAGER_PORT, FIRST_PORT, LAST_PORT = 18202, 32299, 32200, 32259
IMAGE, GAME_IMAGE = "satis-host-agent:latest", "satis-standin:latest"
NETWORK = "satis_network"
_TIMEOUT = 60
_MANAGER = f"http://127.0.0.1:{MANAGER_PORT}"


def run(*argv: str, check: bool = True) -> str:
    """Run a program; return what it printed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0 or not check, f"{argv[:4]} failed: {done.stderr}"
    return done.stdout


class Deployment(Mortal):
    """An agent whose code is that of this tree, in the image's container."""

    def __init__(self) -> None:
        super().__init__(CONTROL)
        self._key, self._token = secrets.token_hex(32), secrets.token_hex(32)

    def up(self, **settings: object) -> None:
        """Start both from nothing, with more settings of the agent's."""
        self.down()
        self.make_control()
        self._ensure_network()
        self._start_edge()
        self._start_agent(settings)
        wait_until(self.answers, within=60, saying="the agent answers")

    def _ensure_network(self) -> None:
        if not run("docker", "network", "ls", "--quiet", "--filter", f"name=^{NETWORK}$"):
            run("docker", "network", "create", "--label", f"com.docker.compose.network={NETWORK}", NETWORK)

    def _start_edge(self) -> None:
        settings = {
            "EDGE_PORTS": f"{FIRST_PORT}-{LAST_PORT}",
            "EDGE_CONTROL_PORTS": "20000-20059",
            "EDGE_PUBLIC_HOST": "127.0.0.1",
            "RATHOLE_TOKEN": self._token,
        }
        publish = ["--publish", f"127.0.0.1:{MANAGER_PORT}:7001"]
        self._start(EDGE, settings, ["--tmpfs", "/data", *publish], ["python", "-m", "edge"])

    def _start_agent(self, more: dict[str, object]) -> None:
        settings = {
            "NODE_ID": "walk",
            "SATIS_DATA_DIR": DATA,
            "GAME_SERVER_IMAGE": GAME_IMAGE,
            "HOST_AGENT_PORT": API_PORT,
            "MAX_SERVERS": 20,
            "HOST_AGENT_API_KEY": self._key,
            "RATHOLE_INSTANCE_MANAGER_HOST": EDGE,
            "RATHOLE_INSTANCE_MANAGER_PORT": 7001,
            "RATHOLE_TOKEN": self._token,
            "RATHOLE_PUBLIC_HOST": "127.0.0.1",
            "ORCHESTRATOR_HOST": "",
            "PATH": "/control/bin:/opt/venv/bin:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": "/control:/app",
            # The tree is mounted, so its bytecode is made at the first start, not in the image.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": "/control/bytecode",
            **more,
        }
        mounts = ["/var/run/docker.sock:/var/run/docker.sock", f"{DATA}:{DATA}", f"{CONTROL}:/control"]
        options = [word for mount in mounts for word in ("--volume", mount)]
        publish = ["--publish", f"127.0.0.1:{API_PORT}:{API_PORT}"]
        self._start(AGENT, settings, [*options, *publish], ["/app/scripts/image/run-agent.sh"])

    def _start(self, name: str, settings: dict[str, Any], options: list[str], words: list[str]) -> None:
        environ = [word for key, value in settings.items() for word in ("--env", f"{key}={value}")]
        common = ["--name", name, "--hostname", name, "--network", NETWORK, "--volume", f"{ROOT}:/app:ro"]
        run("docker", "run", "--detach", *common, *environ, *options, IMAGE, *words)

    def down(self) -> None:
        """Remove all that it made; the agent first, since it would bring its games back."""
        for name in (AGENT, EDGE, *self.games()):
            run("docker", "rm", "--force", "--volumes", name, check=False)
        if HOME.exists():
            run(
                "docker",
                "run",
                "--rm",
                "--volume",
                f"{HOME}:/home-of-walk",
                IMAGE,
                "rm",
                "-rf",
                "/home-of-walk/data",
                "/home-of-walk/control",
            )
            shutil.rmtree(HOME)

    def games(self) -> list[str]:
        """Return the names of the containers that its agent made, running or not."""
        folder = "com.docker.compose.project.working_dir"
        listed = run("docker", "ps", "--all", "--format", f'{{{{.Names}}}} {{{{.Label "{folder}"}}}}')
        return [line.split()[0] for line in listed.splitlines() if f" {DATA}/satisfactory/" in line]

    def call(self, method: str, path: str, **body: object) -> requests.Response:
        """Call the agent's API."""
        url = f"http://127.0.0.1:{API_PORT}{path}"
        json_body = body if method == "POST" else None
        return requests.request(method, url, headers={"X-API-Key": self._key}, json=json_body, timeout=_TIMEOUT)

    def answers(self) -> bool:
        """Whether the API answers."""
        return self.call("GET", "/healthz").status_code == 200

    def instance_status(self, server_id: str) -> int:
        """Return the HTTP status with which the manager answers for a server's instance."""
        headers = {"X-API-Token": self._token}
        return requests.get(f"{_MANAGER}/api/instances/{server_id}", headers=headers, timeout=_TIMEOUT).status_code

    def instances(self) -> int:
        """Return how many instances the manager has."""
        count: int = requests.get(f"{_MANAGER}/health", timeout=_TIMEOUT).json()["active_instances"]
        return count

    def snapshot(self) -> dict[str, Any]:
        """Return what is in the agent's container and store."""
        found: dict[str, Any] = json.loads(run("docker", "exec", AGENT, "python", "/control/snapshot.py"))
        return found

    def status(self, server_id: str) -> dict[str, Any]:
        """Return what the agent says of a server."""
        answer: dict[str, Any] = self.call("GET", f"/api/containers/{server_id}/status").json()
        return answer

    def slow_compose(self, server_id: str, seconds: float) -> None:
        """Have `docker compose` take longer for one server."""
        self._wrap_compose(server_id, f"sleep {seconds}")

    def break_compose(self, server_id: str) -> None:
        """Have `docker compose` fail for one server."""
        self._wrap_compose(server_id, "echo 'no space left on device' >&2; exit 1")

    def _wrap_compose(self, server_id: str, what: str) -> None:
        program = CONTROL / "bin" / "docker"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\ncase "$*" in *{server_id}*) {what};; esac\nexec /usr/bin/docker "$@"\n')
        program.chmod(0o755)

    def mend_compose(self) -> None:
        """Have `docker compose` as it is."""
        (CONTROL / "bin" / "docker").unlink(missing_ok=True)

    def set_clock_back(self, seconds: int) -> None:
        """Set the clock back under an agent that came up with CLOCK set."""
        written = CONTROL / "clock.new"
        written.write_text(str(seconds))
        written.rename(CONTROL / "clock")
