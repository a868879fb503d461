"""The tunnel of one server: its client process, its log and its state."""

import hashlib
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path

from core.backoff import Backoff
from core.errors import AgentError, DeadlinePassed
from core.failpoints import Failpoint, reached
from core.files import write_atomic
from core.log import get_logger
from core.models import TunnelReason, TunnelState
from rathole import process as client
from rathole.log import parse_line
from rathole.logfile import LogFile
from rathole.process import CONFIG_NAME, LOG_NAME, ClientProcess
from rathole.services import Services
from rathole.states import RUNNING, WAITING, Action, Event, transition
from rathole.status import STOPPED, Tools, TunnelStatus, stopped

RETRY_REFUSED = 60.0  # seconds between two tries with a configuration that was refused
BOUNCE_STUCK_AFTER = 150.0  # seconds of silence; a connect that Linux gives up takes 127
_STEADY_AFTER = 30.0  # seconds a client must have run for the next delay to be the first again
_DIGEST_NAME = "client.toml.sha256"

log = get_logger("rathole")


class Tunnel:
    """The tunnel of one server. Whoever calls a method holds `lock`; `status` may be read without.

    Args:
        server_id: whose it is.
        folder: holds its client.toml, and its log.
        tools: what it works with.
    """

    def __init__(self, server_id: str, folder: Path, tools: Tools) -> None:
        self.lock = threading.Lock()
        self.status = stopped(tools.wall())
        self.process: ClientProcess | None = None
        self.next_attempt_at: float | None = None
        self._server_id = server_id
        self._folder = folder
        self._tools = tools
        self._log = LogFile(folder / LOG_NAME)
        self._backoff = Backoff(random=tools.random)
        self._services = Services((), tools.clock(), tools.wall())
        self._fault: tuple[TunnelReason | None, str] = STOPPED
        self._state = TunnelState.STOPPED
        self._digest = ""
        self._started = 0.0
        self._started_at: str | None = None

    def run(self) -> None:
        """Have a client run with the configuration that is there now."""
        waiting_or_running = self._state in RUNNING | WAITING
        self.handle(Event.BOUNCE if waiting_or_running and self._changed() else Event.RUN)

    def handle(self, event: Event) -> None:
        """Take the step that the table names."""
        self._state, action = transition(self._state, event)
        if action is not Action.NOTHING:
            self.next_attempt_at = None
        if action is Action.END:
            self._publish()  # it may take a while
        if action in (Action.END, Action.RESTART, Action.GIVE_UP):
            self._end()
        if action is Action.END:
            return self.handle(Event.ENDED)
        if action in (Action.START, Action.RESTART):
            self._start()
        if action is Action.WAIT:
            self.next_attempt_at = self._tools.clock() + self._backoff.next_delay()
        if action is Action.GIVE_UP:
            self.next_attempt_at = self._tools.clock() + RETRY_REFUSED
        return self._publish()

    def tick(self) -> None:
        """Look at the process, its log and the clock once."""
        if self.process:
            self._read(self._log.new_lines())
            self._read(self._log.rotate())
            if self.process.has_ended():
                self._on_end(self.process)
            else:
                self._judge()
        elif self.next_attempt_at is not None and self._tools.clock() >= self.next_attempt_at:
            self.handle(Event.DUE)
        self._publish()

    def adopt(self, process: ClientProcess, started_at: str) -> None:
        """Go on with a client that an earlier agent started."""
        self.process, self._started_at = process, started_at
        self._started = self._tools.clock()
        self._digest = self._recorded_digest()
        self._services = self._named_services(self._folder.joinpath(CONFIG_NAME))
        self._read(self._log.last_lines())
        self._services.assume_unheard_up(self._tools.wall())
        self.handle(Event.ADOPTED)
        self.tick()

    def _start(self) -> None:
        config = self._folder / CONFIG_NAME
        try:
            self._services = self._named_services(config)
            self._digest = _digest_of(config)
            self._keep(lambda: write_atomic(self._folder / _DIGEST_NAME, self._digest))
            reached(Failpoint.DIGEST_WRITTEN)
            self._log.skip()
            self.process = client.start(self._tools.binary, self._folder)
            reached(Failpoint.TUNNEL_SPAWNED)
        except OSError as error:
            self._fail(None, f"The rathole client cannot be started: {error}.")
            return
        self._started, self._started_at = self._tools.clock(), self._tools.wall()
        if identity := self.process.identity:
            started_at = self._started_at
            self._keep(lambda: self._tools.records.record(self._server_id, identity, started_at))

    def _end(self) -> None:
        if self.process is None:
            return
        if not self.process.end():
            self._state = TunnelState.STOPPING
            self._publish()
            raise DeadlinePassed(
                "client_does_not_end", f"The rathole client {self.process.pid} of {self._server_id} cannot be killed."
            )
        reached(Failpoint.TUNNEL_ENDED)
        self._drop_process()

    def _drop_process(self) -> None:
        if self.process:
            self.process.close()
        self.process, self._started_at = None, None
        self._keep(lambda: self._tools.records.forget(self._server_id))

    def _on_end(self, process: ClientProcess) -> None:
        """The client ended by itself, or at last."""
        code, heard = process.exit_code, self._services.heard
        self._drop_process()
        if self._tools.clock() - self._started >= _STEADY_AFTER:
            self._backoff.reset()
        if self._state is TunnelState.STOPPING:
            self.handle(Event.ENDED)
        elif self._is_refused(code, heard=heard):
            self._fault = TunnelReason.CONFIG_REFUSED, f"rathole refuses its configuration; see {self._log.path}."
            self.handle(Event.REFUSED)
        else:
            self._fail(None, _sentence_of_exit(code))

    def _is_refused(self, code: int | None, *, heard: bool) -> bool:
        return code in client.CONFIG_EXIT_CODES and not heard and client.explain(self._tools.binary, self._folder)

    def _fail(self, reason: TunnelReason | None, message: str) -> None:
        self._fault = reason, message
        self.handle(Event.EXITED)

    def _judge(self) -> None:
        """Draw from what the services do what is to be done with the client."""
        if self._state not in RUNNING:
            return
        now, wall = self._tools.clock(), self._tools.wall()
        if refusal := self._services.refusal():
            self._fault = refusal
            self.handle(Event.REFUSED)
        elif self._services.silent_for(now) >= BOUNCE_STUCK_AFTER:
            self.handle(Event.BOUNCE)
        elif event := self._services.event(wall):
            self.handle(event)

    def _read(self, lines: list[str]) -> None:
        now = self._tools.clock()
        for line in lines:
            if event := parse_line(line):
                self._services.apply(event, now)

    def _publish(self) -> None:
        before, wall = self.status, self._tools.wall()
        reason, message = self._explain(wall)
        changed = self._state is not before.state
        self.status = TunnelStatus(
            state=self._state,
            reason=reason,
            message=message,
            since=wall if changed else before.since,
            down_since=self._down_since(before),
            services=self._services.status(wall) if self.process else {},
            pid=self.process.pid if self.process else None,
            started_at=self._started_at,
        )
        if changed or reason is not before.reason:
            bad = reason or self._state in (TunnelState.DEGRADED, TunnelState.BACKOFF)
            say = log.warning if bad else log.info
            say(message, server=self._server_id, tunnel=str(self._state), reason=reason and str(reason))

    def _explain(self, wall: str) -> tuple[TunnelReason | None, str]:
        if self._state in WAITING:
            return self._fault
        if self._state in (TunnelState.STARTING, TunnelState.CONNECTING, TunnelState.DEGRADED):
            return self._services.trouble(self._tools.clock(), wall)
        if self._state is TunnelState.UP:
            return None, "All services of the tunnel are connected."
        return STOPPED if self._state is TunnelState.STOPPED else (None, "The rathole client is being ended.")

    def _down_since(self, before: TunnelStatus) -> float | None:
        if self._state in (TunnelState.UP, TunnelState.STOPPED, TunnelState.STOPPING):
            return None
        return self._tools.clock() if before.down_since is None else before.down_since

    def _keep(self, write: Callable[[], None]) -> None:
        """Write what only a successor needs: a full disk must not cost the tunnel."""
        try:
            write()
        except AgentError as error:
            log.warning(error.message, server=self._server_id)

    def _named_services(self, config: Path) -> Services:
        """Return the services that the file names; none where it is not there or not TOML."""
        try:
            names = list(tomllib.loads(config.read_text())["client"]["services"])
        except (OSError, ValueError, KeyError, TypeError):
            names = []
        return Services(names, self._tools.clock(), self._tools.wall())

    def _changed(self) -> bool:
        try:
            return _digest_of(self._folder / CONFIG_NAME) != self._digest
        except OSError:  # whoever removed it will say that the tunnel shall stop, or write it anew
            return False

    def _recorded_digest(self) -> str:
        try:
            return (self._folder / _DIGEST_NAME).read_text()
        except OSError:
            return ""


def _digest_of(config: Path) -> str:
    return hashlib.sha256(config.read_bytes()).hexdigest()


def _sentence_of_exit(code: int | None) -> str:
    if code is None:
        return "The rathole client ended by itself."
    if code == 0:
        # A rathole with hot reload, where inotify has no instance left (tried with 0.5.0).
        return "The rathole client ended by itself with exit code 0: it could not watch its file, or was interrupted."
    return f"The rathole client was killed by signal {-code}." if code < 0 else f"The rathole client ended with {code}."
