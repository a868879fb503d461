"""How each action of the plan is done. Every one may be repeated: it looks before it acts, or does no harm twice."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from compose.container import Container, Network
from compose.file import STOP_GRACE_SECONDS
from compose.network import NETWORK, ensure_member, ensure_network
from core.errors import NotFound, StoreFailed
from core.failpoints import Failpoint, reached
from core.files import make_private_directory, remove_tree, write_atomic
from core.log import get_logger
from core.servers import Server
from provisioning.asker import Asker
from provisioning.hands import Hands
from provisioning.observe import Look, compose_text
from provisioning.plan import Action
from provisioning.watchdog import Verdict

_Do = Callable[[Server, Look], None]

log = get_logger("actions")


class Actions:
    """Does what the plan names.

    Args:
        hands: what it acts with.
    """

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._stops = hands.stops
        self._table: dict[Action, _Do] = {
            Action.ENSURE_NETWORK: self._ensure_network,
            Action.JOIN_NETWORK: self._join_network,
            Action.PULL_IMAGE: self._pull_image,
            Action.WRITE_COMPOSE_FILE: self._write_compose_file,
            Action.UP: self._up,
            Action.RECREATE: self._recreate,
            Action.STOP_CONTAINER: self._stop_container,
            Action.REMOVE_CONTAINER: self._remove_container,
            Action.CLAIM: self._claim,
            Action.WRITE_CLIENT_CONFIG: self._write_client_config,
            Action.RUN_TUNNEL: self._run_tunnel,
            Action.BOUNCE_TUNNEL: self._bounce_tunnel,
            Action.STOP_TUNNEL: self._stop_tunnel,
            Action.REMOVE_FILES: self._remove_files,
            Action.FORGET: self._forget,
        }

    def do(self, action: Action, server: Server, look: Look, asker: Asker) -> None:
        """Do one action.

        Raises:
            AgentError: it could not be done.
        """
        if action is Action.ASK_MANAGER:
            self._hands.instances.ask(server, asker)
        elif action is Action.REMAKE_INSTANCE:
            self._hands.instances.remake(server, asker)
        elif action is Action.RELEASE_INSTANCE:
            self._release_instance(server, asker.user_token)
        else:
            self._table[action](server, look)

    def _ensure_network(self, _server: Server, _look: Look) -> None:
        ensure_network(self._hands.engine, NETWORK)

    def _join_network(self, server: Server, look: Look) -> None:
        if look.container:
            network = ensure_network(self._hands.engine, NETWORK)
            # Who sent a packet meanwhile is stuck, whatever the address is now; who died right behind the join, too, is
            # to begin the tunnel anew.
            self._hands.servers.update(server.server_id, bounced_for=None)
            try:
                ensure_member(self._hands.engine, network, look.container.id, server.server_id)
            except NotFound:
                self._note_unjoinable(server, look.container, network)

    def _note_unjoinable(self, server: Server, container: Container, network: Network) -> None:
        """Engine 26.1 joins a container to no other network once its first one is gone (tried); 20.10 does."""
        if network.id not in {found.id for found in self._hands.engine.networks(NETWORK)}:
            return  # it is gone again; the next look sees that
        log.warning(
            "Docker does not put it on the network made anew; it is saved and made anew.", server=server.server_id
        )
        self._hands.unjoinable.add(container.id)

    def _pull_image(self, _server: Server, _look: Look) -> None:
        self._hands.engine.pull(self._hands.settings.game_server_image)

    def _write_compose_file(self, server: Server, _look: Look) -> None:
        layout = self._hands.layout
        make_private_directory(layout.data(server.server_id))
        write_atomic(layout.compose_file(server.server_id), compose_text(self._hands, server))
        reached(Failpoint.COMPOSE_FILE_WRITTEN)

    def _up(self, server: Server, _look: Look) -> None:
        self._hands.compose.up(server.server_id, self._hands.layout.compose_file(server.server_id))

    def _recreate(self, server: Server, _look: Look) -> None:
        self._hands.compose.up(server.server_id, self._hands.layout.compose_file(server.server_id), recreate=True)

    def _stop_container(self, server: Server, _look: Look) -> None:
        with self._stops.ours(server.server_id):
            # Not by `docker compose stop`: it takes half a second to begin, on a busy host two, and what is played
            # meanwhile is in no save (tried).
            self._hands.engine.stop(server.server_id, STOP_GRACE_SECONDS)
            reached(Failpoint.CONTAINER_STOPPED)

    def take_up(self, server_id: str) -> None:
        """Let what a dead agent had begun come to its end: a second `docker compose` beside it would fail."""
        with self._stops.ours(server_id) as stop:
            found = self._hands.compose.await_orphan(server_id)
        if not found:
            self._stops.not_ours(server_id, stop)  # whatever was stopped meanwhile, somebody did by hand

    def kill(self, server_id: str) -> None:
        """Kill the container at once; one that is not there is fine."""
        with self._stops.ours(server_id), contextlib.suppress(NotFound):
            self._hands.engine.kill(server_id)
        reached(Failpoint.CONTAINER_KILLED)

    def _remove_container(self, server: Server, _look: Look) -> None:
        with self._stops.ours(server.server_id):
            self._hands.engine.remove(server.server_id)
            reached(Failpoint.CONTAINER_REMOVED)

    def _claim(self, server: Server, look: Look) -> None:
        if look.container:
            self._hands.claims.claim(server, look.container, look.container.ports or self._hands.ports(server))

    def _write_client_config(self, server: Server, look: Look) -> None:
        layout = self._hands.layout
        make_private_directory(layout.tunnel(server.server_id))
        write_atomic(layout.client_config(server.server_id), server.client_config or "")
        reached(Failpoint.CLIENT_CONFIG_WRITTEN)
        if look.seen.tunnel_runs:
            self._hands.supervisor.run(server.server_id)  # which begins anew with the new file

    def _run_tunnel(self, server: Server, look: Look) -> None:
        self._hands.supervisor.run(server.server_id)
        if look.seen.game_answers:
            self._mark_bounced(server, look)

    def _bounce_tunnel(self, server: Server, look: Look) -> None:
        self._hands.supervisor.bounce(server.server_id)
        reached(Failpoint.TUNNEL_BOUNCED)
        self._mark_bounced(server, look)

    def _mark_bounced(self, server: Server, look: Look) -> None:
        if look.seen.path is Verdict.BOUNCE:
            self._hands.watchdog.bounced(server.server_id)
        if look.seen.container:
            self._hands.servers.update(server.server_id, bounced_for=look.seen.container.run)

    def _stop_tunnel(self, server: Server, _look: Look) -> None:
        self._hands.supervisor.stop(server.server_id)

    def _release_instance(self, server: Server, user_token: str | None) -> None:
        # First: once the row says that there is no instance, nobody looks for its files.
        self._discard(server, self._hands.layout.tunnel(server.server_id))
        with self._hands.servers.transaction(Failpoint.INSTANCE_RELEASED):
            self._hands.instances.release(server.server_id, user_token)
            self._hands.servers.set_public(server.server_id, None, None)
            self._hands.servers.update(server.server_id, client_config=None)

    def _remove_files(self, server: Server, _look: Look) -> None:
        layout = self._hands.layout
        self._discard(server, layout.tunnel(server.server_id), layout.server(server.server_id))

    def _discard(self, server: Server, *folders: Path) -> None:
        """Take folders out of their places at once, then remove them, with what could not be removed before."""
        trash = self._hands.layout.trash_of(server.server_id)
        with contextlib.suppress(StoreFailed, OSError):  # a full disk has no room for that: they are removed in place
            make_private_directory(trash)
            for folder in folders:
                if folder.exists():
                    folder.rename(trash / str(time.time_ns()))
                    reached(Failpoint.DIRECTORY_TRASHED)
        for folder in (*folders, trash):
            remove_tree(folder)
        reached(Failpoint.DIRECTORY_REMOVED)

    def _forget(self, server: Server, _look: Look) -> None:
        self._hands.games.forget(server.server_id)
        self._hands.claims.forget(server.server_id)
        self._hands.saving.forget(server.server_id)
        self._hands.watchdog.forget(server.server_id)
        self._hands.supervisor.forget(server.server_id)
        self._stops.forget(server.server_id)
