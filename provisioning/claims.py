"""Games with a password: claimed, named and locked before anybody can reach them.

An unclaimed game belongs to whoever reaches its port first. The claim is in the game's own
`ServerSettings.<port>.sav`, so another port is another, unclaimed game, and each run is asked anew.
"""

from compose.container import Container
from core.errors import GameFailed
from core.failpoints import Failpoint, reached
from core.log import get_logger
from core.models import Ports
from core.servers import Server
from provisioning.admins import Admins
from satisfactory.admin import Admin

log = get_logger("claims")


class Claims:
    """Claims the games whose spawn came with a password.

    Args:
        admins: knows the way to a game, and the passwords that the agent set.
    """

    def __init__(self, admins: Admins) -> None:
        self._admins = admins
        self._done: dict[str, str] = {}

    def due(self, server: Server, container: Container | None) -> bool:
        """Whether the game may still be open to everybody: its present run was not asked yet."""
        if server.spec.server_password is None or container is None:
            return False
        return self._done.get(server.server_id) != container.started_at

    def claim(self, server: Server, container: Container, ports: Ports) -> None:
        """Claim the game, or see who has; one that its owner has claimed is left as it is.

        Raises:
            GameFailed: it does not answer, or refuses.
            StoreFailed: the admin password cannot be kept.
        """
        password = self._admins.credentials.ensure(server.server_id)
        admin = self._admins.of(server, container, ports)
        token = admin.claim(server.spec.server_name, password)
        if token:
            reached(Failpoint.GAME_CLAIMED)
            log.info("The game is claimed.", server=server.server_id)
        else:
            token = admin.login()
        if token:
            _lock(server, admin, token)
            reached(Failpoint.GAME_LOCKED)
        else:
            log.info("The game has an owner; its name and password are left as they are.", server=server.server_id)
        self._done[server.server_id] = container.started_at

    def forget(self, server_id: str) -> None:
        """Drop what is known of a server that is gone."""
        self._done.pop(server_id, None)
        self._admins.credentials.forget(server_id)


def _lock(server: Server, admin: Admin, token: str) -> None:
    """Name and lock a game that is the agent's; done at each of its starts, so a crash in between costs nothing."""
    password = server.spec.server_password
    if password is None:
        raise GameFailed("no_password", f"{server.server_id} has no password to be locked with.")
    admin.rename(server.spec.server_name, token)
    admin.lock(password.get_secret_value(), token)
