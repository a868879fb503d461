"""An edge whose rathole is a script that does as it is told; no port is bound."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge.keys import NoiseKeys
from edge.manager import InstanceManager
from edge.settings import EdgeSettings, load_settings

TOKEN = "a-token-of-32-characters-or-so-1"
KEYS = NoiseKeys(private="A" * 43 + "=", public="B" * 43 + "=")

_RATHOLE = f"""#!{sys.executable} -S
import pathlib, signal, sys
if "--genkey" in sys.argv:
    sys.stdout.write("Private Key:\\n{KEYS.private}\\n\\nPublic Key:\\n{KEYS.public}\\n")
    sys.exit(0)
if pathlib.Path(__file__).with_name("broken").exists():
    sys.exit("Error: it is broken")
print("INFO rathole::server: Listening at 0.0.0.0:1", flush=True)
signal.pause()
"""


@dataclass
class Clock:
    """A clock that a test moves."""

    now: float = 1000.0

    def __call__(self) -> float:
        """Return the seconds it was set to."""
        return self.now


@dataclass
class Rig:
    """An edge's parts, and the levers of a test."""

    settings: EdgeSettings
    clock: Clock = field(default_factory=Clock)
    held_ports: set[int] = field(default_factory=set)
    managers: list[InstanceManager] = field(default_factory=list)

    def manager(self) -> InstanceManager:
        """Return a new manager on the same data directory."""
        manager = InstanceManager(
            self.settings, KEYS, clock=self.clock, free=lambda port, _kind: port not in self.held_ports
        )
        self.managers.append(manager)
        return manager

    def break_rathole(self) -> Callable[[], None]:
        """Let each rathole that starts from now on fail; returns what undoes that."""
        marker = self.settings.rathole_binary.with_name("broken")
        marker.touch()
        return marker.unlink


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Return the environment of an edge, with nothing wrong in it."""
    binary = tmp_path / "rathole"
    binary.write_text(_RATHOLE)
    binary.chmod(0o700)
    return {
        "EDGE_PORTS": "30000-30009",
        "EDGE_CONTROL_PORTS": "20000-20002",
        "EDGE_DATA_DIR": str(tmp_path / "data"),
        "EDGE_PUBLIC_HOST": "play.example.org",
        "EDGE_REMOTE_HOST": "vps.example.org",
        "RATHOLE_TOKEN": TOKEN,
        "RATHOLE_BINARY": str(binary),
    }


@pytest.fixture
def rig(environ: dict[str, str]) -> Iterator[Rig]:
    """Return an edge's parts; what they started is ended afterwards."""
    rig = Rig(load_settings(environ))
    yield rig
    for manager in rig.managers:
        manager.end()
