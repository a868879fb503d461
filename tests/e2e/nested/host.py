"""A host of the tests' own: an engine in a container, and in that engine an agent, an edge and games."""

import json
import os
import secrets
import shlex
import shutil
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.e2e.nested.engine import NestedEngine
from tests.e2e.nested.manager import Manager
from tests.e2e.walk.deployment import GAME_IMAGE, NETWORK, ROOT
from tests.e2e.walk.deployment import IMAGE as AGENT_IMAGE
from tests.e2e.walk.mortal import Mortal
from tests.waiting import wait_until

HOME = Path("/tmp/satis-nested")
DATA, SHARED = HOME / "data", HOME / "shared"
_AGENTS_SERVICE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["agent"]
ENGINE, AGENT, EDGE = "satis-nested-engine", "satis-nested-agent", "satis-nested-edge"
API_PORT, MANAGER_PORT = 18290, 18291
FIRST_PORT, LAST_PORT = 32300, 32315
_PUBLIC = f"{FIRST_PORT}-{LAST_PORT}:{FIRST_PORT}-{LAST_PORT}"
# Containers live on when dockerd ends; without it an engine that ends takes the agent along.
LIVE_RESTORE = "--live-restore"
COMPOSE_TIMEOUT = 8  # seconds
_DEAD_PORT = 9  # nobody has listened there for decades
_BIN, _CONTROL = SHARED / "bin", SHARED / "control"
_FILLER = f"{DATA}/filler"
_ROOM = "64m"  # of the data directory, which is in memory, so that a test can fill it
_TIMEOUT = 100
SLOW = 30 if os.environ.get("SATIS_LONG") else 7  # seconds; one call of the agent's may take 10


class Host(Mortal):
    """An agent with the code of this tree, whose engine may be done anything to."""

    def __init__(self) -> None:
        super().__init__(_CONTROL)
        self._manager: Manager | None = None
        self._key, self._token = secrets.token_hex(32), secrets.token_hex(32)
        ports = [f"{API_PORT}:{API_PORT}", f"{MANAGER_PORT}:7001", f"{_PUBLIC}/udp"]
        publish = [word for port in ports for word in ("--publish", f"127.0.0.1:{port}")]
        self.engine = NestedEngine(ENGINE, SHARED, *publish, "--tmpfs", f"{DATA}:size={_ROOM},mode=700")

    def up(self) -> None:
        """Bring all up from nothing."""
        self.down()
        SHARED.mkdir(parents=True)
        self.make_control()
        self.engine.up(LIVE_RESTORE)
        self._manager = Manager(self.engine.gateway(), f"http://127.0.0.1:{MANAGER_PORT}", SLOW)
        for image in (AGENT_IMAGE, GAME_IMAGE):
            self.engine.load(image)
        self.make_network()
        self.start_all_but_games()

    def down(self) -> None:
        """Remove all."""
        if self._manager:
            self._manager.close()
        self.engine.down()
        if HOME.exists():
            shutil.rmtree(HOME)

    def make_network(self) -> None:
        """Make the games' network, as the deploy script does."""
        self.engine.docker("network", "create", "--label", f"com.docker.compose.network={NETWORK}", NETWORK)

    def start_all_but_games(self) -> None:
        """Make the edge's and the agent's container, and wait until the agent is ready."""
        self._start_edge()
        self._start_agent({})
        self.wait_until_ready()

    def use_engine(self, *words: str) -> None:
        """Have an engine with these words for dockerd."""
        if self.engine.words != words:
            self.engine.restart(*words)
            self.wait_until_ready()

    def mend(self) -> None:
        """Put right whatever a test did to it."""
        self.manager.faults.clear()
        self.make_room()
        (_BIN / "docker").unlink(missing_ok=True)
        if not self.engine.runs():
            self.engine.start()
        self.engine.thaw()
        self.engine.docker("unpause", EDGE, check=False)
        self.engine.docker("start", EDGE, AGENT)
        self.wait_until_ready()

    def replace_agent(self, **settings: object) -> None:
        """Make the agent's container anew, with more settings; what it keeps on disk stays."""
        self.engine.docker("rm", "--force", AGENT)
        self._start_agent(settings)
        self.wait_until_ready()

    def take_off_network(self, container: str) -> None:
        """Take a container off the games' network while it runs."""
        self.engine.docker("network", "disconnect", "--force", NETWORK, container)

    def tear_out_network(self) -> None:
        """Remove the games' network under all that runs on it, before the agent can join anything again."""
        self.engine.docker("pause", AGENT)
        try:
            members = "{{range .Containers}}{{.Name}} {{end}}"
            for name in self.engine.docker("network", "inspect", "--format", members, NETWORK).split():
                self.take_off_network(name)
            self.engine.docker("network", "rm", NETWORK)
        finally:
            self.engine.docker("unpause", AGENT)

    def put_edge_on_network(self) -> None:
        """Bring the edge back to the games' network, as an operator does: it is no agent's."""
        self.engine.docker("network", "connect", NETWORK, EDGE)

    def fill_disk(self) -> None:
        """Leave not a byte in the data directory."""
        self.engine.inside("dd", "if=/dev/zero", f"of={_FILLER}", "bs=4096", check=False)

    def make_room(self) -> None:
        """Take away what filled it."""
        self.engine.inside("rm", "-f", _FILLER)

    def remove_all_but_games(self) -> None:
        """Remove both; what they keep on disk stays."""
        for name in (AGENT, EDGE):
            self.engine.docker("rm", "--force", name)

    @property
    def manager(self) -> Manager:
        """The manager that the agent speaks to."""
        assert self._manager
        return self._manager

    def _start_edge(self) -> None:
        settings = {
            "EDGE_PORTS": f"{FIRST_PORT}-{LAST_PORT}",
            "EDGE_CONTROL_PORTS": "20000-20029",
            "EDGE_PUBLIC_HOST": "127.0.0.1",
            "RATHOLE_TOKEN": self._token,
        }
        publish = ["--publish", "7001:7001", "--publish", f"{_PUBLIC}/udp"]
        self._run(EDGE, settings, ["--volume", f"{EDGE}:/data", *publish], ["python", "-m", "edge"])

    def _start_agent(self, more: dict[str, object]) -> None:
        settings = {
            "NODE_ID": "nested",
            "SATIS_DATA_DIR": DATA,
            "GAME_SERVER_IMAGE": GAME_IMAGE,
            "HOST_AGENT_PORT": API_PORT,
            "MAX_SERVERS": 20,
            "HOST_AGENT_API_KEY": self._key,
            "RATHOLE_INSTANCE_MANAGER_HOST": self.engine.gateway(),
            "RATHOLE_INSTANCE_MANAGER_PORT": self.manager.port,
            "RATHOLE_TOKEN": self._token,
            "RATHOLE_REMOTE_HOST": EDGE,
            "RATHOLE_PUBLIC_HOST": "127.0.0.1",
            # It is away in all that is shown here, and nothing depends on it.
            "ORCHESTRATOR_HOST": self.engine.gateway(),
            "ORCHESTRATOR_PORT": _DEAD_PORT,
            "DOCKER_HOST": self.engine.socket,
            "COMPOSE_TIMEOUT": COMPOSE_TIMEOUT,
            "PATH": f"{_BIN}:/opt/venv/bin:/usr/local/bin:/usr/bin:/bin",
            # The tree is mounted, so its bytecode is made at the first start, not in the image.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": "/tmp/bytecode",
            **more,
        }
        mounts = [f"{SHARED}:{SHARED}", f"{DATA}:{DATA}", f"{_CONTROL}:/control"]
        options = [word for mount in mounts for word in ("--volume", mount)]
        publish = ["--publish", f"{API_PORT}:{API_PORT}"]
        self._run(AGENT, settings, [*options, *publish], ["/app/scripts/image/run-agent.sh"])

    def recover(self) -> str:
        """Have the store built again, as an operator does whose agent is stopped; return what was said."""
        options = ["--rm", "--volumes-from", AGENT, "--env", f"SATIS_DATA_DIR={DATA}"]
        key = ["--env", f"HOST_AGENT_API_KEY={self._key}"]
        return self.engine.docker("run", *options, *key, AGENT_IMAGE, "python", "agent.py", "recover")

    def _run(self, name: str, settings: dict[str, Any], options: list[str], words: list[str]) -> None:
        environ = [word for key, value in settings.items() for word in ("--env", f"{key}={value}")]
        common = ["--name", name, "--hostname", name, "--network", NETWORK, "--volume", f"{ROOT}:/app:ro"]
        restart = ["--restart", _AGENTS_SERVICE["restart"]]
        self.engine.docker("run", "--detach", *common, *restart, *environ, *options, AGENT_IMAGE, *words)

    def bend_compose(self, server_id: str, first: str) -> None:
        """Let `docker compose` do something of a shell's first, for one server."""
        program = _BIN / "docker"
        _BIN.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\ncase "$*" in *{server_id}*) {first};; esac\nexec /usr/bin/docker "$@"\n')
        program.chmod(0o755)

    def mend_compose(self) -> None:
        """Let it be what it was."""
        (_BIN / "docker").unlink(missing_ok=True)

    def call(self, method: str, path: str, *, timeout: float = _TIMEOUT, **body: object) -> requests.Response:
        """Call the agent's API."""
        url, key = f"http://127.0.0.1:{API_PORT}{path}", {"X-API-Key": self._key}
        return requests.request(method, url, headers=key, json=body if method == "POST" else None, timeout=timeout)

    def instance_status(self, server_id: str) -> int:
        """Return the HTTP status with which the real manager answers for a server's instance."""
        url, headers = f"{self.manager.behind}/api/instances/{server_id}", {"X-API-Token": self._token}
        return requests.get(url, headers=headers, timeout=_TIMEOUT).status_code

    def snapshot(self) -> dict[str, Any]:
        """Return what is in the agent's container and store."""
        found: dict[str, Any] = json.loads(self.engine.docker("exec", AGENT, "python", "/control/snapshot.py"))
        return found

    def is_ready(self) -> bool:
        """Whether the agent says that it can work."""
        return self.call("GET", "/readyz").ok

    def wait_until_ready(self) -> None:
        """Wait for the agent."""
        wait_until(self.is_ready, within=60, saying=f"the agent is ready; its log: {self.agent_log()}", every=0.1)

    def agent_log(self, *part: str) -> str:
        """Return what the agent said: the end of it, unless words for `docker logs` name another part."""
        words = ["docker", "--host", self.engine.socket, "logs", *(part or ("--tail", "40")), AGENT]
        return self.engine.inside("sh", "-c", f"{shlex.join(words)} 2>&1", check=False)

    def misses_orchestrator(self) -> bool:
        """Whether the agent has said since its start that nobody listens where its orchestrator should be."""
        said = self.agent_log("--since", self.started_at(AGENT))
        return f"The orchestrator at http://{self.engine.gateway()}:{_DEAD_PORT} cannot be reached" in said

    def field(self, container: str, template: str) -> str:
        """Return what Docker says of a container; nothing where there is none."""
        return self.engine.docker("inspect", "--type", "container", "--format", template, container, check=False)

    def started_at(self, container: str) -> str:
        """Return when a container was last started."""
        return self.field(container, "{{.State.StartedAt}}")

    def is_running(self, container: str) -> bool:
        """Whether a container runs."""
        return self.field(container, "{{.State.Running}}") == "true"
