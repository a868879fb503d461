"""One look at the world around a server."""

from dataclasses import dataclass
from pathlib import Path

from compose.container import Container
from compose.file import render, to_yaml
from compose.network import NETWORK
from core.clock import utc_now
from core.models import TunnelReason, TunnelState
from core.servers import Server
from provisioning.games import SILENT, GameSeen
from provisioning.hands import Hands
from provisioning.plan import ContainerSeen, Observed

_STALE = frozenset({TunnelReason.TOKEN_REFUSED, TunnelReason.SERVICE_UNKNOWN})


@dataclass(frozen=True)
class Look:
    """What was seen, for the plan and for those who ask.

    Attributes:
        seen: what the plan decides by.
        container: what Docker says of the container.
        game: what the game itself says.
        observed_at: when, ISO 8601.
    """

    seen: Observed
    container: Container | None
    game: GameSeen
    observed_at: str


def compose_text(hands: Hands, server: Server) -> str:
    """Return the compose file that the server should have."""
    document = render(
        server.spec,
        hands.ports(server),
        image=hands.settings.game_server_image,
        data_path=hands.layout.data(server.server_id),
        publish_ports=hands.settings.ports_published,
    )
    return to_yaml(document)


def look(hands: Hands, server: Server) -> Look:
    """Look at Docker, the files, the tunnel and the game.

    Raises:
        DockerUnavailable: the engine cannot be asked.
    """
    container = hands.engine.container(server.server_id)
    networks = {network.id for network in hands.engine.networks(NETWORK)}
    game = _game(hands, server, container)
    fault = hands.instances.fault(server.server_id)
    seen = Observed(
        container=_container_seen(container, networks),
        network_present=bool(networks),
        image_present=hands.engine.image_present(hands.settings.game_server_image),
        compose_file_right=_is(hands.layout.compose_file(server.server_id), compose_text(hands, server)),
        manager_due=hands.instances.due(server.server_id),
        manager_failed=fault is not None,
        instance_stale=hands.supervisor.status(server.server_id).reason in _STALE,
        client_file_right=_is(hands.layout.client_config(server.server_id), server.client_config),
        can_tunnel=hands.own_container is not None,
        tunnel_runs=hands.supervisor.status(server.server_id).state is not TunnelState.STOPPED,
        game_answers=game.answers,
        files_present=_files_present(hands, server.server_id),
    )
    return Look(seen, container, game, utc_now())


def _game(hands: Hands, server: Server, container: Container | None) -> GameSeen:
    if container is None or container.status != "running":
        return SILENT
    ports = container.ports or hands.ports(server)
    return hands.games.look(server.server_id, container.started_at, container.ip, ports.game)


def _container_seen(container: Container | None, networks: set[str]) -> ContainerSeen | None:
    if container is None:
        return None
    on_network = container.network_ids.get(NETWORK) in networks
    return ContainerSeen(container.status, container.started_at, container.ports, on_network)


def _files_present(hands: Hands, server_id: str) -> bool:
    layout = hands.layout
    return any(
        folder.exists() for folder in (layout.server(server_id), layout.tunnel(server_id), layout.trash_of(server_id))
    )


def _is(path: Path, text: str | None) -> bool:
    """Tell whether a file of ours holds what it should."""
    try:
        return path.read_text() == text
    except (OSError, UnicodeDecodeError):
        return False  # what cannot be read is written again, and the writing says what is in the way
