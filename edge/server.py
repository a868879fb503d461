"""One `rathole --server` process: started, watched, restarted, ended."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.backoff import Backoff
from core.files import write_atomic
from core.log import get_logger
from core.proc import all_processes, end, identify, spawn
from core.rotation import copy_aside

if TYPE_CHECKING:
    from subprocess import Popen

_log = get_logger("edge")
_END_GRACE = 2.0
_STABLE_AFTER = 30.0
_LOG_LIMIT = 1024 * 1024
_CONFIG, _LOG = "server.toml", "server.log"
_LISTENING = b"Listening at "  # rathole 0.5.0 server.rs, when the control port is bound


class RatholeServer:
    """The rathole server of one instance; whoever owns it calls it from one thread at a time.

    Args:
        binary: the rathole program.
        folder: where its configuration and log are; must exist before `start`.
        config: what it reads.
        clock: seconds that never go back.
    """

    def __init__(self, binary: Path, folder: Path, config: str, *, clock: Callable[[], float]) -> None:
        self._binary, self._folder, self._config = binary, folder, config
        self._clock = clock
        self._backoff = Backoff()
        self._process: Popen[bytes] | None = None
        self._started_at = 0.0
        self._next_start_at: float | None = None

    @property
    def is_running(self) -> bool:
        """Whether its process lives now."""
        process = self._process  # a request may ask while the supervisor replaces it
        return process is not None and process.poll() is None

    @property
    def is_listening(self) -> bool:
        """Whether it lives and has bound its control port, since its folder is new."""
        return self.is_running and _LISTENING in self._log_path.read_bytes()

    @property
    def last_words(self) -> str:
        """The last line of its log."""
        lines = self._log_path.read_text(errors="replace").split("\n") if self._log_path.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "no word in its log")

    @property
    def _log_path(self) -> Path:
        return self._folder / _LOG

    def start(self) -> None:
        """Write its configuration and start it; does not wait until it listens.

        Raises:
            StoreFailed: the configuration cannot be written.
            OSError: the program is missing.
        """
        path = self._folder / _CONFIG
        write_atomic(path, self._config)
        argv = [str(self._binary), "--server", str(path)]
        self._process = spawn(argv, env={"RUST_LOG": "info"}, output=self._log_path, cwd=self._folder)
        self._started_at = self._clock()
        self._next_start_at = None

    def tend(self) -> None:
        """Look after it, to be called about twice a second: start it again when it died, rotate its log.

        Raises:
            StoreFailed, OSError: as `start`; tried again after the next delay.
        """
        if self.is_running:
            if self._clock() - self._started_at >= _STABLE_AFTER:
                self._backoff.reset()
            self._rotate_log()
        elif self._next_start_at is None:
            self._plan_start()
        elif self._clock() >= self._next_start_at:
            self._next_start_at = None
            self.start()

    def _plan_start(self) -> None:
        delay = self._backoff.next_delay()
        self._next_start_at = self._clock() + delay
        code = self._process.returncode if self._process else None
        _log.warning(
            "A rathole server is down and will be started again.",
            instance=self._folder.name,
            exit_code=code,
            seconds=round(delay, 1),
            last_words=self.last_words,
        )

    def _rotate_log(self) -> None:
        if self._log_path.stat().st_size > _LOG_LIMIT:
            copy_aside(self._log_path)
            os.truncate(self._log_path, 0)

    def stop(self) -> None:
        """End it and wait until it is gone; one that does not run is fine."""
        if self._process is None:
            return
        if identity := identify(self._process.pid):
            end(identity, grace=_END_GRACE)
        self._process.wait()
        self._process = None


def end_strays(directory: Path) -> int:
    """End rathole servers that an edge left behind when it was killed; they would hold the ports.

    They are known by their argument, a configuration below `directory`, which this edge owns.

    Returns:
        How many there were.
    """
    strays = [process for process in all_processes() if _is_server_below(directory, process.argv)]
    for stray in strays:
        _log.warning("Ending a rathole server that an earlier edge left behind.", pid=stray.pid)
        end(stray, grace=_END_GRACE)
    return len(strays)


def _is_server_below(directory: Path, argv: tuple[str, ...]) -> bool:
    return argv[-2:-1] == ("--server",) and Path(argv[-1]).is_relative_to(directory)
