"""A `docker` on PATH that does what a test says."""

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

_PROGRAM = r"""#!PYTHON
import json, os, pathlib, signal, subprocess, sys, time
here = pathlib.Path(__file__).parent
orders = json.loads((here / "orders.json").read_text())
seen = {"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(), "pid": os.getpid()}
if orders.get("ignore_term"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if orders.get("fork"):
    seen["child"] = subprocess.Popen(["sleep", "600"]).pid
(here / "seen.new").write_text(json.dumps(seen))
(here / "seen.new").rename(here / "seen.json")
if orders.get("hang"):
    time.sleep(600)
sys.stdout.write(orders.get("stdout", ""))
sys.stderr.write(orders.get("stderr", ""))
sys.exit(orders.get("code", 0))
"""


class FakeDocker:
    """The fake: told what to do by a file, tells by another what it was called with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "docker"
        program.write_text(_PROGRAM.replace("PYTHON", sys.executable, 1))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        self.order()

    def order(self, **orders: object) -> None:
        """Say what it shall do: code, stdout, stderr, hang, fork, ignore_term."""
        (self.folder / "orders.json").write_text(json.dumps(orders))

    @property
    def seen(self) -> dict[str, Any]:
        """What the last call was: argv, env, cwd, pid, child."""
        found: dict[str, Any] = json.loads((self.folder / "seen.json").read_text())
        return found


@pytest.fixture
def docker(tmp_path: Path) -> FakeDocker:
    """Return a fake in a folder of its own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return FakeDocker(folder)
