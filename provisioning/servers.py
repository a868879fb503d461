"""The servers, as the HTTP face speaks of them: every call writes a wish down, wakes the keeper and waits."""

import contextlib
from collections.abc import Callable
from enum import StrEnum
from functools import partial

from compose.container import Container
from core.errors import Conflict, DeadlinePassed, NotFound, ShuttingDown
from core.models import OperationKind, Ports, SaveOutcome, ServerSpec
from core.operations import Operation
from core.servers import Server
from provisioning.actions import Actions
from provisioning.admission import Admission
from provisioning.dangling import Dangling
from provisioning.ending import drain_patience
from provisioning.hands import Hands
from provisioning.operations import Operations
from provisioning.reconciler import Reconciler
from provisioning.view import ClientView, Facts, ServerView, view_of

# A first pull of the game's image takes minutes; the orchestrator sets no timeout of its own.
_PATIENCE = 600.0
# The wish that a game runs, whoever stopped it or gave it up before.
_RUN_AGAIN: dict[str, bool | None] = {
    "container_wanted": True,
    "stopped_externally": False,
    "crashed": False,
    "deaths": None,
}


class Cleanup(StrEnum):
    """How far a stop goes."""

    STOP = "stop"  # the container down, data kept, the tunnel down, its address kept
    DELETE = "delete"  # everything, the data too
    RATHOLE = "rathole"  # the tunnel and its files only


class Servers:
    """All that can be asked of the servers.

    Args:
        hands: what is looked and acted with.
        operations: what is under way.
        actions: how a kill is done.
        reconciler: the keepers.
        dangling: knows what belongs to no server.
    """

    def __init__(
        self, hands: Hands, operations: Operations, actions: Actions, reconciler: Reconciler, dangling: Dangling
    ) -> None:
        self._hands = hands
        self._actions = actions
        self._operations = operations
        self._reconciler = reconciler
        self._dangling = dangling
        self._admission = Admission(hands, operations)
        self._table = hands.servers

    def spawn(self, spec: ServerSpec, user_token: str | None = None) -> ServerView:
        """Provision a server; the same spawn again is answered with the server that is there.

        Raises:
            AgentError: Conflict where id or ports are taken, else what made the server impossible.
        """
        self._check_changeable()
        operation = self._admission.admit(spec, user_token)
        if operation:
            self._carry_out(operation)
        else:
            self._take_up_tunnel(spec.server_id, user_token)
        return self.view(spec.server_id)

    def _take_up_tunnel(self, server_id: str, user_token: str | None) -> None:
        """Ask for a tunnel again that the manager refused for want of a user's token, now that there is one."""
        fault = self._hands.instances.fault(server_id)
        if user_token and fault and fault.code == "auth_refused":
            with contextlib.suppress(Conflict):  # something else is under way, whose caller has his own token
                self._change(server_id, OperationKind.RECONFIGURE, lambda: False, user_token)

    def start(self, server_id: str, user_token: str | None = None) -> ServerView:
        """Run a server, with its tunnel, at the address it had."""
        self._check_changeable()  # first, since it alone is quick to say that Docker is away
        self._hands.stops.catch_up()  # what was stopped by hand before this counts no more
        self._change(
            server_id,
            OperationKind.START,
            lambda: self._table.update(server_id, tunnel_wanted=True, restart_from=None, **_RUN_AGAIN),
            user_token,
        )
        return self.view(server_id)

    def restart(self, server_id: str, user_token: str | None = None, *, force: bool = False) -> SaveOutcome | None:
        """Stop a server and run it again; return what came of saving it, None where there was nothing to save.

        Raises:
            Conflict: it could not be saved, and `force` was not given.
        """
        self._check_changeable()  # first, since it alone is quick to say that Docker is away
        container = self._hands.engine.container(self._known(server_id).server_id)
        began = container.started_at if container else None
        self._hands.stops.catch_up()
        return self._change(
            server_id,
            OperationKind.RESTART,
            lambda: self._table.update(server_id, restart_from=began, **_RUN_AGAIN),
            user_token,
            force=force,
        )

    def stop(
        self,
        server_id: str,
        cleanup: Cleanup = Cleanup.STOP,
        user_token: str | None = None,
        *,
        force: bool = False,
    ) -> SaveOutcome | None:
        """Stop a server as far as `cleanup` says; one that is not there, or about to go, is stopped already.

        Returns:
            What came of saving it; None where there was nothing to save.

        Raises:
            Conflict: it could not be saved, and `force` was not given.
        """
        server = self._table.get(server_id)
        if server is None or (server.deleting and cleanup is not Cleanup.DELETE):
            return None
        if cleanup is Cleanup.DELETE:
            self.delete(server_id, user_token)
        elif cleanup is Cleanup.RATHOLE:
            self._drop_tunnel(server_id, user_token)
        else:
            unwant = partial(self._unwant, server_id)
            return self._change(server_id, OperationKind.STOP, unwant, user_token, force=force)
        return None

    def kill(self, server_id: str) -> ServerView:
        """Kill a server's container at once, whatever else is under way, and leave it stopped."""
        server = self._known(server_id)
        self._check_changeable()
        operation = self._operations.begin(server_id, OperationKind.KILL, lambda: self._unwant(server_id))
        self._end_at_once(server.server_id)
        self._carry_out(operation)
        return self.view(server_id)

    def _end_at_once(self, server_id: str) -> None:
        """Kill the game, so that a save under way ends, too; what was wished goes on, whatever is raised."""
        try:
            self._hands.engine.ping()
            self._actions.kill(server_id)
        finally:
            self._reconciler.wake(server_id, urgent=True)

    def _unwant(self, server_id: str) -> None:
        self._table.update(server_id, container_wanted=False, stopped_externally=False, restart_from=None)

    def delete(self, server_id: str, user_token: str | None = None) -> None:
        """Remove a server with its data; one that is not there is removed already.

        It is never refused and never given up: whatever is raised here, the removal goes on.
        """
        if (server := self._table.get(server_id)) is None:
            return
        doom = partial(self._table.update, server_id, deleting=True)
        operation = self._operations.begin(server_id, OperationKind.DELETE, doom, user_token)
        self._end_at_once(server.server_id)
        self._operations.wait(operation, _PATIENCE)

    def configure_tunnel(self, server_id: str, text: str, user_token: str | None = None) -> None:
        """Give a server's tunnel another client.toml.

        Raises:
            InvalidRequest: it is not one that this server may have; nothing is changed.
        """
        server = self._known(server_id)
        config = self._hands.instances.check(server, self._hands.ports(server), text, server.public_ports)
        self._change(
            server_id,
            OperationKind.RECONFIGURE,
            lambda: self._table.update(server_id, client_config=config, tunnel_wanted=True),
            user_token,
        )

    def start_tunnel(self, server_id: str, ports: Ports, user_token: str | None = None) -> None:
        """Let players reach a server again."""
        server = self._known(server_id)
        if ports not in {server.spec.ports, server.public_ports}:
            raise Conflict(
                "port_mismatch",
                f"{server_id} has the ports {server.spec.game_port} and {server.spec.beacon_port}; "
                "delete it and spawn it again to change them.",
            )
        change = partial(self._table.update, server_id, tunnel_wanted=True)
        self._change(server_id, OperationKind.RECONFIGURE, change, user_token)

    def stop_tunnel(self, server_id: str, user_token: str | None = None) -> None:
        """Take a running server's tunnel and address away; a stopped one keeps its address for the next start."""
        server = self._table.get(server_id)
        if server and server.container_wanted and not server.deleting:
            self._drop_tunnel(server_id, user_token)

    def _drop_tunnel(self, server_id: str, user_token: str | None) -> None:
        change = partial(self._table.update, server_id, tunnel_wanted=False)
        self._change(server_id, OperationKind.RECONFIGURE, change, user_token)

    def stop_games(self) -> None:
        """Stop every game without changing what is wanted, because the agent is about to be taken down.

        Raises:
            DeadlinePassed: some still run; the agent stays, so those that were stopped are started again.
        """
        self._reconciler.draining.set()
        self._reconciler.wake_all()
        if not self._operations.until(lambda: not self._running(), drain_patience(self._hands.settings)):
            running = ", ".join(self._running())
            self._reconciler.draining.clear()
            self._reconciler.wake_all()
            raise DeadlinePassed("games_still_run", f"Still running: {running}. The agent goes on with all games.")

    def _running(self) -> list[str]:
        return [view.server_id for view in self.views() if view.may_run]

    def knows(self, server_id: str) -> bool:
        """Whether there is such a server."""
        return self._table.get(server_id) is not None

    def view(self, server_id: str) -> ServerView:
        """Return what is wanted and seen of a server.

        Raises:
            NotFound: there is none.
        """
        return self._view(self._known(server_id))

    def views(self) -> list[ServerView]:
        """Return every server, the oldest first."""
        return [self._view(server) for server in self._table.all()]

    def dangling(self) -> tuple[Container, ...]:
        """Return the containers that look like a server's and are none that we know, as last seen."""
        return self._dangling.containers

    def clients(self) -> dict[str, ClientView]:
        """Return the tunnel client of every server that has a configuration for one."""
        servers = [server for server in self._table.all() if server.client_config]
        return {server.server_id: self._client(server) for server in servers}

    def _client(self, server: Server) -> ClientView:
        path = self._hands.layout.client_config(server.server_id)
        return ClientView(str(path), self._hands.ports(server), self._hands.supervisor.status(server.server_id))

    def _view(self, server: Server) -> ServerView:
        facts = Facts(
            settings=self._hands.settings,
            server=server,
            look=self._reconciler.last_look(server.server_id),
            tunnel=self._hands.supervisor.status(server.server_id),
            manager_fault=self._hands.instances.fault(server.server_id),
            operation=self._operations.last(server.server_id),
            in_container=self._hands.own_container is not None,
        )
        return view_of(facts)

    def _known(self, server_id: str) -> Server:
        server = self._table.get(server_id)
        if server is None:
            raise NotFound("server_not_found", f"There is no server {server_id} on this host.")
        return server

    def _change(
        self,
        server_id: str,
        kind: OperationKind,
        change: Callable[[], object],
        user_token: str | None = None,
        *,
        force: bool = False,
    ) -> SaveOutcome | None:
        server = self._known(server_id)
        if server.deleting:
            raise Conflict("server_deleting", f"{server.server_id} is being deleted; wait until it is gone.")
        self._check_changeable()
        operation = self._operations.begin(server_id, kind, change, user_token, force=force)
        self._carry_out(operation)
        return self._operations.get(operation).save

    def _carry_out(self, operation: Operation) -> None:
        self._reconciler.wake(operation.server_id, urgent=True)
        self._operations.wait(operation, _PATIENCE)

    def _check_changeable(self) -> None:
        if self._reconciler.is_leaving():
            raise ShuttingDown("shutting_down", "The agent is being taken down and begins nothing new.")
        self._hands.engine.ping()
