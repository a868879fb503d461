"""What was wrong, in words: a sentence for each thing that is mended without anybody having asked."""

from collections.abc import Callable, Iterable

from core.log import get_logger
from core.models import Ports
from core.servers import Server
from provisioning.plan import Action, Observed
from provisioning.watchdog import Verdict

log = get_logger("mending")


class Mending:
    """Says what is wrong with one server: once until all was well again, not with each try to mend it."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def say(self, actions: Iterable[Action], server: Server, ports: Ports, seen: Observed) -> None:
        """Say what these actions are about to mend."""
        for action in sorted(actions):
            text = sentence(action, server, ports, seen)
            if text not in self._said:
                log.info(text, server=server.server_id, step=str(action))
            self._said.add(text)

    def all_well(self) -> None:
        """Whatever comes now is said again."""
        self._said.clear()


def sentence(action: Action, server: Server, ports: Ports, seen: Observed) -> str:
    """Return what is wrong, that this action mends it, and how.

    Args:
        action: what is about to be done.
        server: what should be.
        ports: the ports that the game should have.
        seen: what is.
    """
    of = _OF.get(action)
    return of(server, ports, seen) if of else _PLAIN[action]


_PLAIN = {
    Action.ENSURE_NETWORK: "There is not one network satis_network but none, or several; that is put right.",
    Action.JOIN_NETWORK: "The running container was taken off satis_network; it is put on it again.",
    Action.PULL_IMAGE: "The game's image is not on this host; it is pulled.",
    Action.WRITE_COMPOSE_FILE: "The compose file is missing or not what it should be; it is written again.",
    Action.RECREATE: "The container holds a network that is gone; it is made anew.",
    Action.REMOVE_CONTAINER: "The container of a server that is deleted is still there; it is removed.",
    Action.CLAIM: "The game may still belong to whoever reaches it first; it is claimed.",
    Action.SAVE_GAME: "The game is to end; it is saved before.",
    Action.WRITE_CLIENT_CONFIG: "client.toml is missing or not what it should be; it is written again.",
    Action.RUN_TUNNEL: "No rathole client runs though one shall; it is started.",
    Action.STOP_TUNNEL: "A rathole client runs though none shall; it is stopped.",
    Action.REMAKE_INSTANCE: "The VPS refuses the tunnel while its manager answers; the instance is made anew.",
    Action.RELEASE_INSTANCE: "The server shall have no tunnel; its instance is given back.",
    Action.REMOVE_FILES: "Files of a server that is deleted are still there; they are removed.",
    Action.FORGET: "Nothing is left of a server that is deleted; it is forgotten.",
}


def _up(_server: Server, _ports: Ports, seen: Observed) -> str:
    if seen.container is None:
        return "There is no container though one shall run; it is made."
    return f"The container is {seen.container.status} though it shall run; it is started."


def _stop_container(server: Server, ports: Ports, seen: Observed) -> str:
    container = seen.container
    if server.crashed or not server.container_wanted or container is None:
        return "The container runs though it shall not; it is stopped."
    if container.ports not in (None, ports):
        return f"The public port is now {ports.game}; the game is stopped, to follow it."
    if not container.on_network:
        return "The container holds a network that is gone, and nobody can reach it; it is stopped, to be made anew."
    return "The container is to be restarted; it is stopped."


def _bounce(server: Server, _ports: Ports, seen: Observed) -> str:
    if seen.path is Verdict.BOUNCE:
        return "The game answers on this host and not through its tunnel; the tunnel is begun anew."
    if seen.container and (server.bounced_for or "").startswith(seen.container.started_at):
        return "The container has another address; its tunnel is begun anew."
    return "The game answers again, after its start or its return to the network; its tunnel is begun anew."


def _ask_manager(server: Server, _ports: Ports, _seen: Observed) -> str:
    if server.client_config is None:
        return "The server has no instance at the manager; it is asked for one."
    return "The VPS does not know the tunnel's instance, or is away; the manager is asked for it again."


_OF: dict[Action, Callable[[Server, Ports, Observed], str]] = {
    Action.UP: _up,
    Action.STOP_CONTAINER: _stop_container,
    Action.BOUNCE_TUNNEL: _bounce,
    Action.ASK_MANAGER: _ask_manager,
}
