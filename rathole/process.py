"""One rathole client process: started, found again, ended.

It is never given a parent-death signal, and it lives on when the agent dies; an adopted one is not
our child, so its exit code is unknown.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from core import proc
from core.errors import DeadlinePassed
from core.proc import ProcessIdentity

CONFIG_NAME = "client.toml"
LOG_NAME = "client.log"
# Of a configuration that rathole 0.5.0 does not take: 1, of its command line: 2 (tried).
CONFIG_EXIT_CODES = (1, 2)
_TRIAL = 2.0  # seconds; a configuration that is refused is so within milliseconds
_GRACE = 2.0  # rathole has no handler for SIGTERM: it ends at once, unless it is frozen


class ClientProcess:
    """A client process that runs, or has just ended.

    Attributes:
        identity: None where it had ended before it could be looked at.
        pidfd: readable once it has ended; -1 when closed.
    """

    def __init__(self, identity: ProcessIdentity | None, pidfd: int, child: subprocess.Popen[bytes] | None) -> None:
        self.identity = identity
        self.pidfd = pidfd
        self._child = child

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self.identity.pid if self.identity else None

    @property
    def exit_code(self) -> int | None:
        """Its exit code, -N for a signal; None while it runs and for a process that is not our child."""
        return self._child.returncode if self._child else None

    def has_ended(self) -> bool:
        """Tell whether it has ended, and wait for its zombie where it is ours."""
        if self._child:
            return self._child.poll() is not None
        return self.identity is None or not proc.is_running(self.identity)

    def end(self) -> bool:
        """End it, by force after 2 s, and tell whether it is gone."""
        if self.identity:
            proc.end(self.identity, grace=_GRACE)
        return self.has_ended()

    def close(self) -> None:
        """Give the descriptor back."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


def start(binary: str, folder: Path) -> ClientProcess:
    """Start a client with the configuration in `folder`; its output is appended to the log there.

    Its error output is dropped: on a full disk rathole 0.5.0 says there that it cannot write its log, and aborts where
    it cannot say that either (tried).

    Raises:
        OSError: the binary is missing, or the log cannot be opened.
    """
    argv = _argv(binary, folder)
    child = proc.spawn(argv, env=_environment(), output=folder / LOG_NAME, cwd=folder, with_errors=False)
    return ClientProcess(proc.identify(child.pid), os.pidfd_open(child.pid), child)


def explain(binary: str, folder: Path) -> bool:
    """Put into the log what rathole has against the configuration; tell whether it refuses it.

    rathole cannot be asked without being run; one that takes the file after all is killed, and was refused for
    something else.
    """
    try:
        tried = proc.run(_argv(binary, folder), deadline=_TRIAL, env=_environment(), cwd=folder)
    except (DeadlinePassed, OSError):
        return False
    with contextlib.suppress(OSError), (folder / LOG_NAME).open("a") as log:  # a full disk keeps no reason
        log.write(tried.stderr)
    return tried.returncode in CONFIG_EXIT_CODES


def _environment() -> dict[str, str]:
    # RUST_LOG is set since a level above info takes the service's name out of the lines (tried).
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {"RUST_LOG": "info"}


def adopt(identity: ProcessIdentity) -> ClientProcess | None:
    """Take over a process of an earlier agent; None where it does not run any more."""
    with contextlib.suppress(ProcessLookupError):
        process = ClientProcess(identity, os.pidfd_open(identity.pid), None)
        # Looked at again now that the pidfd pins it: the pid may have become another's in between.
        if proc.is_running(identity):
            return process
        process.close()
    return None


def find_clients(binary: str, directory: Path) -> Iterator[tuple[str, ProcessIdentity]]:
    """Yield server id and identity of every client whose configuration lies below `directory`."""
    for identity in proc.all_processes():
        folder = Path(identity.argv[-1]).parent
        # The name only: after an upgrade an older client may run from another place.
        same_program = Path(identity.argv[0]).name == Path(binary).name
        if same_program and folder.parent == directory and identity.argv[1:] == _argv(binary, folder)[1:]:
            yield folder.name, identity


def _argv(binary: str, folder: Path) -> tuple[str, ...]:
    return (binary, "--client", str(folder / CONFIG_NAME))
