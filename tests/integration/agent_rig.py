"""The agent as a process of this host: real gunicorn, on an engine that is a fake."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import requests

from core.settings import Settings
from tests.integration.edge_rig import free_block
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
KEY = "a-key-of-the-agent-0123456789"


@dataclass
class Agent:
    """`python agent.py`, with a data directory of its own.

    Attributes:
        folder: where its data and its log are.
        engine_url: where it finds Docker.
        environ: settings beside the usual ones.
        port: of its API.
        output: where it writes what it says; None for a file.
    """

    folder: Path
    engine_url: str
    environ: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=lambda: free_block(1))
    output: int | None = None
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def data(self) -> Path:
        """Its data directory."""
        return self.folder / "data"

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.folder / "agent.log").read_text()

    def start(self, *arguments: str, wait: bool = True) -> None:
        """Start it and wait until it answers."""
        # Set but empty is "not set", and keeps a developer's own .env out of it.
        nothing = {name.upper(): "" for name in Settings.model_fields}
        own = {
            "PATH": os.environ["PATH"],
            "NODE_ID": "node-1",
            "HOST_AGENT_PORT": str(self.port),
            "HOST_AGENT_API_KEY": KEY,
            "SATIS_DATA_DIR": str(self.data),
            "DOCKER_HOST": self.engine_url,
        }
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "agent.py"), *arguments],
                cwd=self.folder,
                env=nothing | own | self.environ,
                stdin=subprocess.DEVNULL,
                stdout=self.output or log,
                stderr=self.output or log,
            )
        if wait:
            wait_until(self.answers, within=30, saying=f"the agent answers; its log: {self.log}")

    def get(self, path: str) -> requests.Response:
        """Ask with the key."""
        url = f"http://127.0.0.1:{self.port}{path}"
        return requests.get(url, headers={"X-API-Key": KEY, "Connection": "close"}, timeout=5)

    def answers(self) -> bool:
        """Whether it serves."""
        return self.get("/api/health").status_code == 200

    def is_ready(self) -> bool:
        """Whether it says that it can work."""
        return self.get("/readyz").status_code == 200

    def say(self, text: bytes) -> tuple[bytes, bytes]:
        """Send raw bytes; return head and body of what comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as caller:
            caller.sendall(text)
            caller.shutdown(socket.SHUT_WR)
            head, _, body = caller.makefile("rb").read().partition(b"\r\n\r\n")
        return head, body

    def worker(self) -> psutil.Process:
        """Return gunicorn's worker, which is the agent itself."""
        assert self.process is not None
        (worker,) = psutil.Process(self.process.pid).children()
        return worker

    def stop(self) -> int:
        """End it by SIGTERM; return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.exit_code()

    def exit_code(self) -> int:
        """Wait for its end."""
        assert self.process is not None
        return self.process.wait(timeout=20)

    def clear(self) -> None:
        """End it and its worker, however they are."""
        if self.process is None or self.process.poll() is not None:
            return
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.kill()
        self.process.wait()
        for process in family:
            process.kill()
