"""Where a server's files are, below the data directory."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The paths of the data directory.

    Attributes:
        root: `SATIS_DATA_DIR`, the same path on the host and in the agent's container.
    """

    root: Path

    @property
    def database(self) -> Path:
        """The store."""
        return self.root / "agent" / "agent.db"

    @property
    def lock(self) -> Path:
        """The file whose lock makes one worker the owner of the data directory."""
        return self.root / "agent" / "lock"

    @property
    def tunnels(self) -> Path:
        """The folder of all tunnels."""
        return self.root / "rathole"

    @property
    def trash(self) -> Path:
        """Where folders go before they are removed, so that a crash leaves no half of one in its place."""
        return self.root / ".trash"

    def trash_of(self, server_id: str) -> Path:
        """What is yet to be removed of one server."""
        return self.trash / server_id

    def credentials(self, server_id: str) -> Path:
        """The admin password of one game, where the agent set it."""
        return self.root / "credentials" / f"{server_id}.json"

    @property
    def servers(self) -> Path:
        """The folder of all game servers."""
        return self.root / "satisfactory"

    def tunnel(self, server_id: str) -> Path:
        """Folder of one tunnel: client.toml and client.log."""
        return self.tunnels / server_id

    def client_config(self, server_id: str) -> Path:
        """The client.toml of one tunnel."""
        return self.tunnel(server_id) / "client.toml"

    def server(self, server_id: str) -> Path:
        """Folder of one game server."""
        return self.servers / server_id

    def compose_file(self, server_id: str) -> Path:
        """The compose file of one game server."""
        return self.server(server_id) / "docker-compose.yml"

    def record(self, server_id: str) -> Path:
        """The server's row as a file, from which a lost store is built again."""
        return self.server(server_id) / "server.json"

    def data(self, server_id: str) -> Path:
        """What the game sees as /config."""
        return self.server(server_id) / "data" / server_id
