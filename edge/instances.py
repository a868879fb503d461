"""Instances: what was granted to whom, kept on disk over a restart of the edge."""

import secrets
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import StoreFailed
from core.files import make_private_directory, remove_tree, write_atomic
from core.log import get_logger

_log = get_logger("edge")
_RECORD = "instance.json"


class Instance(BaseModel):
    """One server's ports and token.

    Attributes:
        server_id: whose tunnel it is.
        game_port: public, TCP and UDP.
        query_port: public, TCP.
        control_port: where the server's rathole client connects, TCP.
        token: of its rathole services; 32 random bytes, as text.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    server_id: str
    game_port: int
    query_port: int
    control_port: int
    token: str = Field(default_factory=lambda: secrets.token_hex(32), min_length=64, repr=False)


class InstanceStore:
    """A folder per instance: its record, its rathole configuration and its rathole's log.

    Args:
        directory: where the folders are.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def folder(self, server_id: str) -> Path:
        """Return the folder of an instance; the id has been checked by whoever calls."""
        return self._directory / server_id

    def load(self) -> list[Instance]:
        """Return all instances; a damaged one is named in the log and left out, never the reason for none.

        Raises:
            StoreFailed: the folder cannot be made.
        """
        make_private_directory(self._directory)
        loaded = [self._load_one(folder) for folder in sorted(self._directory.iterdir())]
        return [instance for instance in loaded if instance]

    def _load_one(self, folder: Path) -> Instance | None:
        try:
            instance = Instance.model_validate_json((folder / _RECORD).read_bytes())
            if instance.server_id == folder.name:
                return instance
            reason = f"it names another id, {instance.server_id}"
        except FileNotFoundError:
            remove_tree(folder)  # half made or half removed when an edge was killed
            return None
        except OSError as error:
            reason = str(error.strerror)
        except ValidationError as error:
            reason = f"{error.error_count()} faults in it"
        _log.warning("Cannot use the record of an instance; create it anew.", folder=str(folder), reason=reason)
        return None

    def save(self, instance: Instance) -> None:
        """Put an instance on disk, in an empty folder.

        Raises:
            StoreFailed: the disk is full or not writable; nothing is left behind.
        """
        folder = self.folder(instance.server_id)
        remove_tree(folder)
        try:
            make_private_directory(folder)
            write_atomic(folder / _RECORD, instance.model_dump_json())
        except StoreFailed:
            remove_tree(folder)
            raise

    def remove(self, server_id: str) -> None:
        """Forget an instance.

        Raises:
            StoreFailed: something of it could not be removed.
        """
        # The record goes first: what a crash leaves of the rest is no instance any more.
        try:
            (self.folder(server_id) / _RECORD).unlink(missing_ok=True)
        except OSError as error:
            raise StoreFailed("record_not_removed", f"Cannot forget {server_id}: {error.strerror}.") from error
        remove_tree(self.folder(server_id))
