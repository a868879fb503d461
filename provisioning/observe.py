"""One look at the world around a server."""

import threading
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose.container import Container
from compose.file import HASH_LABEL, render, to_yaml
from compose.network import NETWORK
from core.clock import utc_now
from core.models import TunnelReason, TunnelState
from core.servers import Server
from provisioning.games import SILENT, GameSeen
from provisioning.hands import Hands
from provisioning.plan import ContainerSeen, Observed
from provisioning.watchdog import Target
from rathole.status import TunnelStatus

_STALE = frozenset({TunnelReason.TOKEN_REFUSED, TunnelReason.SERVICE_UNKNOWN})
_REMOVAL_LOOKS, _REMOVAL_PAUSE = 50, 0.1
_LOST_SECONDS = 5.0  # a restart of the VPS's rathole takes one
_REFUSED = _STALE | {TunnelReason.VPS_UNREACHABLE}


@dataclass(frozen=True)
class Look:
    """What was seen, for the plan and for those who ask.

    Attributes:
        seen: what the plan decides by.
        container: what Docker says of the container.
        game: what the game itself says.
        differs: the container was made from another compose file than the one it should have.
        observed_at: when, ISO 8601.
    """

    seen: Observed
    container: Container | None
    game: GameSeen
    differs: bool
    observed_at: str


def compose_text(hands: Hands, server: Server) -> str:
    """Return the compose file that the server should have."""
    return to_yaml(_document(hands, server))


def _hash_of(hands: Hands, server: Server) -> str:
    labels: dict[str, str] = _document(hands, server)["services"][server.server_id]["labels"]
    return labels[HASH_LABEL]


def _document(hands: Hands, server: Server) -> dict[str, Any]:
    return render(
        server.spec,
        hands.ports(server),
        image=hands.settings.game_server_image,
        data_path=hands.layout.data(server.server_id),
        publish_ports=hands.settings.ports_published,
    )


def look(hands: Hands, server: Server) -> Look:
    """Look at Docker, the files, the tunnel and the game.

    Raises:
        DockerUnavailable: the engine cannot be asked.
    """
    container = _container(hands, server.server_id)
    networks = {network.id for network in hands.engine.networks(NETWORK)}
    game = _game(hands, server, container)
    fault = hands.instances.fault(server.server_id)
    tunnel = hands.supervisor.status(server.server_id)
    seen = Observed(
        container=_container_seen(hands, container, networks),
        network_present=len(networks) == 1,
        image_present=hands.engine.image_present(hands.settings.game_server_image),
        compose_file_right=_is(hands.layout.compose_file(server.server_id), compose_text(hands, server)),
        manager_due=hands.instances.due(server.server_id),
        manager_failed=fault is not None,
        instance_stale=_is_stale(hands, tunnel),
        instance_refused=_is_refused(hands, server, tunnel),
        client_file_right=_is(hands.layout.client_config(server.server_id), server.client_config),
        can_tunnel=hands.own_container is not None,
        tunnel_runs=tunnel.state is not TunnelState.STOPPED,
        game_answers=game.answers,
        address_settled=game.settled,
        path=hands.watchdog.watch(server.server_id, _target(hands, server, game, tunnel)),
        files_present=_files_present(hands, server.server_id),
        game_ready=game.ready,
        claim_due=hands.claims.due(server, container),
        save_due=hands.saving.due(server.server_id, container),
    )
    differs = container is not None and container.labels.get(HASH_LABEL) != _hash_of(hands, server)
    return Look(seen, container, game, differs, utc_now())


def _container(hands: Hands, server_id: str) -> Container | None:
    """One that is being removed is gone in a moment; until then it can be neither started nor made anew."""
    pause = threading.Event()
    for _ in range(_REMOVAL_LOOKS):
        found = hands.engine.container(server_id)
        if found is None or found.status != "removing":
            return found
        pause.wait(_REMOVAL_PAUSE)
    return found


def _game(hands: Hands, server: Server, container: Container | None) -> GameSeen:
    if container is None or container.status != "running":
        return SILENT
    ports = container.ports or hands.ports(server)
    return hands.games.look(server.server_id, container.started_at, container.ip, ports.game)


def _is_stale(hands: Hands, tunnel: TunnelStatus) -> bool:
    """A VPS that was built anew refuses connections until its manager is asked, and an outage is no harm to ask in."""
    lost = tunnel.reason is TunnelReason.VPS_UNREACHABLE and _seconds_down(hands, tunnel) >= _LOST_SECONDS
    return lost or tunnel.reason in _STALE


def _is_refused(hands: Hands, server: Server, tunnel: TunnelStatus) -> bool:
    long = tunnel.reason in _REFUSED and _seconds_down(hands, tunnel) >= hands.settings.refused_seconds
    return long and hands.instances.may_remake(server.server_id)


def _seconds_down(hands: Hands, tunnel: TunnelStatus) -> float:
    return 0.0 if tunnel.down_since is None else hands.clock() - tunnel.down_since


def _target(hands: Hands, server: Server, game: GameSeen, tunnel: TunnelStatus) -> Target | None:
    """Return where the game must answer for its players; None while it cannot be expected to."""
    if not game.ready or tunnel.state is not TunnelState.UP or server.client_config is None:
        return None
    # The rathole server's own host, too: a loopback address, or one behind the VPS's own NAT, may be of no use here.
    own = tomllib.loads(server.client_config)["client"]["remote_addr"].rpartition(":")[0].strip("[]")
    public = hands.settings.rathole_public_host or server.public_host
    hosts = dict.fromkeys(host for host in (own, public) if host)
    return Target(tuple(hosts), (server.public_ports or server.spec.ports).game)


def _container_seen(hands: Hands, container: Container | None, networks: set[str]) -> ContainerSeen | None:
    if container is None:
        return None
    refused = container.id in hands.unjoinable
    return ContainerSeen(
        status=container.status,
        started_at=container.started_at,
        ports=container.ports,
        on_network=container.network_ids.get(NETWORK) in networks,
        joinable=container.status == "running" and NETWORK not in container.network_ids and not refused,
        address=container.ip,
    )


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
