"""Python loads this before the agent: it notes each failpoint that is reached, and takes the one to die at from a file.

So a test can name the next one without starting the agent anew; the dying itself is the agent's own.
"""

import importlib
import os
import threading
from pathlib import Path

from core import failpoints

_TRACE, _WANTED = Path("/control/trace"), Path("/control/failpoint")
_reached = failpoints.reached
_noting = threading.Lock()


def _noted(point: failpoints.Failpoint) -> None:
    with _noting:  # the environment is all threads'
        wanted = _WANTED.read_text()  # first: whoever waits for the note then takes the wish back
        with _TRACE.open("a") as trace:
            trace.write(f"{point}\n")
        os.environ["FAILPOINT"] = wanted
        _reached(point)


failpoints.reached = _noted
if os.environ.get("CLOCK"):  # not always: with it each Python in the container would load Docker's SDK
    importlib.import_module("clock")
