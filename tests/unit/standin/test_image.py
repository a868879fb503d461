"""The stand-in's image holds a part of the tree only."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def copied() -> list[Path]:
    """Return the modules that the Dockerfile puts into the image."""
    lines = re.findall(r"^COPY (.*)$", (ROOT / "standin/Dockerfile").read_text(), re.MULTILINE)
    patterns = [word for line in lines for word in line.split()[:-1] if word.endswith(".py")]
    return [path for pattern in patterns for path in ROOT.glob(pattern)]


def test_it_holds_all_that_the_stand_in_imports(tmp_path: Path) -> None:
    """With Python's own library and nothing else: a module that is missing there is a game that never starts."""
    for path in copied():
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        shutil.copy(path, target)
    run = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import standin.__main__"
    argv = [sys.executable, "-I", "-S", "-c", run]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
