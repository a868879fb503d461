"""Servers kept in a dict: they behave as provisioning's do, without a container or a process behind them."""

from dataclasses import dataclass, field, replace

from compose.container import Container
from core.clock import utc_now
from core.errors import AgentError, Conflict, InvalidRequest, NotFound
from core.models import Phase, Ports, Saved, SaveOutcome, ServerSpec, TunnelState
from provisioning.loops import LoopHealth
from provisioning.servers import Cleanup
from provisioning.view import ClientView, ServerView, TunnelView
from rathole.services import ServiceStatus
from rathole.status import TunnelStatus

PUBLIC_SHIFT = 10000
"""The fake manager hands out public ports this far above the requested ones, as the real one does."""


@dataclass
class FakeServers:
    """An in-memory stand-in for `provisioning.servers.Servers`.

    Attributes:
        running: what was spawned and not deleted, by id.
        configs: the client.toml texts that were accepted.
        calls: how often it was called at all.
        tokens: the user's tokens, in the order in which they came.
        changes: how often something was changed; a refused request leaves it as it is.
        fault: raised by the next call, whatever it is.
        save: what comes of saving a game; None where there is nothing to save.
    """

    running: dict[str, ServerView] = field(default_factory=dict)
    configs: dict[str, str] = field(default_factory=dict)
    calls: int = 0
    tokens: list[str | None] = field(default_factory=list)
    changes: int = 0
    fault: Exception | None = None
    save: SaveOutcome | None = None

    def spawn(self, spec: ServerSpec, user_token: str | None) -> ServerView:
        """Take a server in, unless its id or one of its ports is taken."""
        self._note(user_token)
        present = self._find(spec.server_id)
        if present and present.spec == spec:
            return present
        self._refuse_taken(spec)
        self.changes += 1
        self.running[spec.server_id] = _view(spec)
        return self.running[spec.server_id]

    def _refuse_taken(self, spec: ServerSpec) -> None:
        if self._find(spec.server_id):
            raise Conflict("server_exists", f"There is another server {spec.server_id}; delete it first.")
        for view in self.running.values():
            if {spec.game_port, spec.beacon_port} & {view.spec.game_port, view.spec.beacon_port}:
                raise Conflict("port_in_use", f"Server {view.server_id} uses one of these ports.")

    def start(self, server_id: str, user_token: str | None) -> ServerView:
        """Let a server run."""
        return self._change(server_id, user_token, phase=Phase.STARTING, container=_container("running"))

    def restart(self, server_id: str, user_token: str | None, *, force: bool) -> SaveOutcome | None:
        """Let a server run anew."""
        self._save(force=force)
        self.start(server_id, user_token)
        return self.save

    def _save(self, *, force: bool) -> None:
        if self.save and self.save.saved is Saved.FALSE and not force:
            said = {"saved": False, "file": self.save.file, "seconds": self.save.seconds}
            raise Conflict("save_failed", f"It goes on running: {self.save.message}", reason=self.save.message, **said)

    def kill(self, server_id: str) -> ServerView:
        """End a server's game."""
        return self._change(server_id, None, phase=Phase.STOPPED, container=_container("exited"))

    def stop(self, server_id: str, cleanup: Cleanup, user_token: str | None, *, force: bool) -> SaveOutcome | None:
        """Stop a server, or more."""
        if cleanup is Cleanup.DELETE:
            self.delete(server_id, user_token)
        elif cleanup is Cleanup.RATHOLE:
            self.stop_tunnel(server_id, user_token)
        elif self._find(server_id):
            self._save(force=force)
            self._change(
                server_id, user_token, phase=Phase.STOPPED, container=None, tunnel=_tunnel(TunnelState.STOPPED)
            )
            return self.save
        else:
            self._note(user_token)
        return None

    def delete(self, server_id: str, user_token: str | None) -> None:
        """Forget a server."""
        self._note(user_token)
        self.changes += self.running.pop(server_id, None) is not None

    def knows(self, server_id: str) -> bool:
        """Say whether there is such a server."""
        self._note(None)
        return self._find(server_id) is not None

    def view(self, server_id: str) -> ServerView:
        """Say how a server is."""
        self._note(None)
        return self._get(server_id)

    def views(self) -> list[ServerView]:
        """Say how all are."""
        self._note(None)
        return list(self.running.values())

    def dangling(self) -> tuple[Container, ...]:
        """Name a container that belongs to no server."""
        self._note(None)
        return (_container("exited"),)

    def clients(self) -> dict[str, ClientView]:
        """Name a client for each server."""
        self._note(None)
        return {server_id: _client(view) for server_id, view in self.running.items()}

    def configure_tunnel(self, server_id: str, text: str, user_token: str | None) -> None:
        """Keep a client.toml, unless it says that it is a server's."""
        self._note(user_token)
        self._get(server_id)
        if "[server]" in text:
            raise InvalidRequest("config_refused", "This is the configuration of a rathole server, not of a client.")
        self.changes += 1
        self.configs[server_id] = text

    def start_tunnel(self, server_id: str, ports: Ports, user_token: str | None) -> None:
        """Bring the tunnel up, at the ports that are asked for."""
        self._change(server_id, user_token, ports=ports, tunnel=_tunnel(TunnelState.UP))

    def stop_tunnel(self, server_id: str, user_token: str | None) -> None:
        """End the tunnel."""
        self._note(user_token)
        if self._find(server_id):
            self._change(server_id, None, tunnel=_tunnel(TunnelState.STOPPED))

    def stop_games(self) -> None:
        """Stop all games."""
        self._note(None)
        for server_id in self.running:
            self._change(server_id, None, container=_container("exited"))

    def _note(self, user_token: str | None) -> None:
        self.calls += 1
        if user_token is not None:
            self.tokens.append(user_token)
        if self.fault:
            fault, self.fault = self.fault, None
            raise fault

    def _find(self, server_id: str) -> ServerView | None:
        return next((view for name, view in self.running.items() if name.lower() == server_id.lower()), None)

    def _get(self, server_id: str) -> ServerView:
        view = self._find(server_id)
        if view is None:
            raise NotFound("unknown_server", f"There is no server {server_id}; GET /api/containers lists all.")
        return view

    def _change(self, server_id: str, user_token: str | None, **what: object) -> ServerView:
        self._note(user_token)
        view = self._get(server_id)
        self.changes += 1
        self.running[view.server_id] = replace(view, **what)
        return self.running[view.server_id]


@dataclass
class FakeRuntime:
    """A runtime of which a test says how it is."""

    loops: dict[str, LoopHealth] = field(default_factory=dict)
    fault: AgentError | None = None

    def alive(self) -> dict[str, LoopHealth]:
        """Return what the test said."""
        return self.loops

    def ready(self) -> None:
        """Raise what the test said."""
        if self.fault:
            raise self.fault


def _container(status: str) -> Container:
    now = utc_now()
    return Container(
        id="c0ffee",
        name="srv",
        status=status,
        created=now,
        started_at=now,
        finished_at="0001-01-01T00:00:00Z",
        exit_code=0,
        oom_killed=False,
        restart_count=0,
        image="wolveix/satisfactory-server:v1.9.10",
        labels={},
        network_ids={},
        ip=None,
        ports=None,
        health=None,
        volumes=(),
    )


def _tunnel(state: TunnelState) -> TunnelView:
    now = utc_now()
    services = {"game": ServiceStatus(state=state, since=now, last_error=None, reconnects=0)}
    up = state is TunnelState.UP
    status = TunnelStatus(
        state,
        None,
        f"The tunnel is {state}.",
        since=now,
        services=services,
        pid=4711 if up else None,
        started_at=now if up else None,
    )
    return TunnelView(state, None, status.message, status)


def _client(view: ServerView) -> ClientView:
    return ClientView(
        config_path=f"/data/rathole/{view.server_id}/client.toml",
        ports=view.ports,
        status=view.tunnel.status,
    )


def _view(spec: ServerSpec) -> ServerView:
    public = Ports(spec.game_port + PUBLIC_SHIFT, spec.beacon_port + PUBLIC_SHIFT)
    return ServerView(
        spec=spec,
        phase=Phase.STARTING,
        reason=None,
        message="The game is loading.",
        container=_container("running"),
        tunnel=_tunnel(TunnelState.UP),
        ports=public,
        public_address=f"play.example.org:{public.game}",
        operation=None,
        pending_changes=False,
        observed_at=utc_now(),
    )
