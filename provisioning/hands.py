"""What the will acts with: the rooms below, bound together once by the wiring."""

from collections.abc import Callable
from dataclasses import dataclass, field

from compose.engine import Engine
from compose.runner import Compose
from core.models import Ports
from core.servers import Server, ServerTable
from core.settings import Settings
from provisioning.claims import Claims
from provisioning.crashes import Crashes
from provisioning.games import Games
from provisioning.instances import Instances
from provisioning.layout import Layout
from provisioning.saving import Saving
from provisioning.stops import Stops
from provisioning.watchdog import Watchdog
from rathole.supervisor import Supervisor


@dataclass(frozen=True)
class Hands:
    """Everything that an action or a look needs.

    Attributes:
        settings: the operator's.
        layout: where files are.
        servers: what should be.
        engine: Docker, as seen and in a few writes.
        compose: `docker compose`.
        supervisor: the tunnels.
        instances: the instance manager, as far as there is one.
        games: the games' own answers.
        claims: whether a game with a password is closed to others.
        saving: whether a game that is to be ended is saved.
        watchdog: their answers through the tunnels.
        crashes: counts their deaths.
        stops: whose stop of a container it was.
        own_container: the agent's container; None where it runs outside one.
        clock: seconds that never go back.
        unjoinable: the ids of containers that Docker has refused to put on the present network.
    """

    settings: Settings
    layout: Layout
    servers: ServerTable
    engine: Engine
    compose: Compose
    supervisor: Supervisor
    instances: Instances
    games: Games
    claims: Claims
    saving: Saving
    watchdog: Watchdog
    crashes: Crashes
    stops: Stops
    own_container: str | None
    clock: Callable[[], float]
    unjoinable: set[str] = field(default_factory=set)

    def ports(self, server: Server) -> Ports:
        """Return the ports that the game should have: what the manager named, where the game follows."""
        if self.settings.port_policy == "follow" and server.public_ports:
            return server.public_ports
        return server.spec.ports
