"""Who administrates a server's game: the local administrator in its container, else the password that the agent set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compose.container import Container
from compose.engine import Engine
from core.errors import ComposeFailed, GameFailed, NotFound
from core.models import Ports
from core.proc import Completed
from core.servers import Server
from provisioning.credentials import Credentials
from satisfactory.admin import Admin
from satisfactory.https import GameApi
from satisfactory.local import LocalApi


@dataclass(frozen=True)
class Admins:
    """Finds the administrator of each game.

    Attributes:
        engine: runs what must run inside a container.
        credentials: the passwords that the agent set.
    """

    engine: Engine
    credentials: Credentials

    def of(self, server: Server, container: Container, ports: Ports) -> Admin:
        """Return the administrator of the game that runs in a container with these ports."""

        def run(argv: Sequence[str], environment: Mapping[str, str], timeout: float) -> Completed:
            try:
                return self.engine.exec(container.id, argv, timeout=timeout, environment=environment)
            except (NotFound, ComposeFailed) as error:
                raise GameFailed("game_unreachable", f"Nothing runs in the container: {error.message}") from error

        password = self.credentials.of(server.server_id)
        return Admin(LocalApi(run, ports.game), GameApi(container.ip or server.server_id, ports.game), password)
