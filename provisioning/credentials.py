"""The admin passwords that the agent set: one private file for each game that it claimed."""

import json
import secrets

from core.errors import StoreFailed
from core.failpoints import Failpoint, reached
from core.files import make_private_directory, write_atomic
from provisioning.layout import Layout


class Credentials:
    """Keeps the passwords.

    Args:
        layout: where they are.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def of(self, server_id: str) -> str | None:
        """Return the admin password that the agent set, None where it set none.

        Raises:
            StoreFailed: the file cannot be read; making another password would lock the agent out.
        """
        path = self._layout.credentials(server_id)
        try:
            return str(json.loads(path.read_text())["adminPassword"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise StoreFailed("credentials_damaged", f"{path} cannot be read; put it right, or remove it.") from error

    def ensure(self, server_id: str) -> str:
        """Return the password, made and on disk before any game gets it.

        Raises:
            StoreFailed: the file can be neither read nor written.
        """
        known = self.of(server_id)
        if known is not None:
            return known
        made = secrets.token_urlsafe(24)
        path = self._layout.credentials(server_id)
        make_private_directory(path.parent)
        write_atomic(path, json.dumps({"adminPassword": made}) + "\n")
        reached(Failpoint.CREDENTIALS_WRITTEN)
        return made

    def forget(self, server_id: str) -> None:
        """Remove the password of a server that is gone."""
        self._layout.credentials(server_id).unlink(missing_ok=True)
        reached(Failpoint.CREDENTIALS_REMOVED)
