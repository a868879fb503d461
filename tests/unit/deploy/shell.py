"""Runs pieces of the deploy scripts by bash, with fakes of the programs that they call."""

import os
import pty
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = ROOT / "scripts"


def fake(folder: Path, name: str, body: str) -> Path:
    """Put an executable of that name into `folder`, which tests set at the front of PATH."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)
    return path


def with_path(folder: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment with `folder` first on PATH."""
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **(extra or {})}


def bash(
    snippet: str, cwd: Path, *, parts: tuple[str, ...], env: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run `snippet` as the deploy script would, after sourcing those of its parts."""
    sources = "\n".join(f"source {SCRIPTS}/{part}.sh" for part in parts)
    return subprocess.run(
        ["/bin/bash", "-c", f"set -euo pipefail\n{sources}\n{snippet}"],
        cwd=cwd,
        env=None if env is None else dict(env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def at_terminal(snippet: str, cwd: Path, *, typed: str, parts: tuple[str, ...] = ("say", "settings")) -> str:
    """Run `snippet` with a terminal at which `typed` is typed; all that stood on the screen."""
    ours, theirs = pty.openpty()
    sources = "\n".join(f"source {SCRIPTS}/{part}.sh" for part in parts)
    with subprocess.Popen(
        ["/bin/bash", "-c", f"set -euo pipefail\n{sources}\n{snippet}"],
        cwd=cwd,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        screen = "".join(iter(lambda: _read(ours), ""))
        process.wait(30)
    os.close(ours)
    return screen


def _read(terminal: int) -> str:
    """What stands on the terminal; empty when its last user has gone (Linux says so by EIO)."""
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:
        return ""
