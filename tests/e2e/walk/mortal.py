"""An agent that a test has die at a failpoint, while it runs."""

import shutil
from collections import Counter
from pathlib import Path

from core.failpoints import Failpoint

_FILES = ("sitecustomize.py", "clock.py", "snapshot.py")


class Mortal:
    """Its container has a folder of the test's at /control, and that on its PYTHONPATH before /app.

    Args:
        control: the folder, on this host.
    """

    def __init__(self, control: Path) -> None:
        self._control = control

    def make_control(self) -> None:
        """Make the folder, before the agent is started."""
        self._control.mkdir(parents=True)
        for file in _FILES:
            shutil.copy(Path(__file__).with_name(file), self._control)
        self.disarm()

    def arm(self, point: Failpoint) -> None:
        """Let the agent die where it reaches `point` next, and note anew what is reached."""
        self.forget_trace()
        (self._control / "failpoint").write_text(point)

    def disarm(self) -> None:
        """Let it live."""
        (self._control / "failpoint").write_text("")

    def forget_trace(self) -> None:
        """Begin to note anew what is reached."""
        (self._control / "trace").unlink(missing_ok=True)

    def trace(self) -> Counter[Failpoint]:
        """Return which failpoints were reached, and how often."""
        path = self._control / "trace"
        return Counter(Failpoint(line) for line in path.read_text().splitlines()) if path.exists() else Counter()
