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
from core.proc import ProcessIdentity

CONFIG_NAME = "client.toml"
LOG_NAME = "client.log"
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
    return _start(binary, folder, with_errors=False)


def explain(binary: str, folder: Path) -> None:
    """Have a client that ends at once for its configuration say why in its log."""
    with contextlib.suppress(OSError):
        process = _start(binary, folder, with_errors=True)
        proc.wait_ended(process.pidfd, _GRACE)
        process.end()
        process.close()


def _start(binary: str, folder: Path, *, with_errors: bool) -> ClientProcess:
    # RUST_LOG is set since a level above info takes the service's name out of the lines (tried).
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {"RUST_LOG": "info"}
    child = proc.spawn(_argv(binary, folder), env=env, output=folder / LOG_NAME, cwd=folder, with_errors=with_errors)
    return ClientProcess(proc.identify(child.pid), os.pidfd_open(child.pid), child)


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
