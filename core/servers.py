"""The table of servers: what should be. What is, is asked of Docker and /proc, never stored as truth."""

import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from core.clock import utc_now
from core.errors import Conflict
from core.models import Ports, ServerSpec
from core.store import Store


@dataclass(frozen=True)
class Server:
    """A row: the request as given, the wishes since, and what the outside world answered.

    Attributes:
        spec: the request; the requested ports are in it.
        container_wanted: an operator's wish: the game shall run.
        tunnel_wanted: an operator's wish: players shall reach it.
        deleting: all of it shall go.
        stopped_externally: somebody stopped the container by hand; it stays so until the next start.
        public_ports: what the instance manager named, None until it answered.
        public_host: the host that the manager named for players, if it did.
        client_config: the checked client.toml; it holds tokens.
        restart_from: a restart is asked for, of the container that was started at this time (Docker's text).
        bounced_for: the tunnel was begun anew after the game, started at this time, first answered.
        failure_code: why the last operation failed, None where it did not.
        failure_message: the same, as a sentence.
        created_at: when it was asked for, ISO 8601.
    """

    spec: ServerSpec
    container_wanted: bool
    tunnel_wanted: bool
    deleting: bool
    stopped_externally: bool
    public_ports: Ports | None
    public_host: str | None
    client_config: str | None
    restart_from: str | None
    bounced_for: str | None
    failure_code: str | None
    failure_message: str | None
    created_at: str

    @property
    def server_id(self) -> str:
        """The id, as first spelled."""
        return self.spec.server_id


class ServerTable:
    """Reads and writes the servers."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, spec: ServerSpec) -> None:
        """Take a new server with its ports in, in one transaction.

        Raises:
            Conflict: the id or one of the ports is taken.
        """
        with self._store.transaction():
            self._insert(spec)
            game, beacon = spec.ports.game, spec.ports.beacon
            for port, protocol in ((game, "udp"), (game, "tcp"), (beacon, "tcp")):
                self._reserve(spec.server_id, port, protocol)

    def _insert(self, spec: ServerSpec) -> None:
        try:
            self._store.change(
                "INSERT INTO servers (server_id, spec, created_at) VALUES (?, ?, ?)",
                (spec.server_id, spec.to_json(), utc_now()),
            )
        except sqlite3.IntegrityError as error:
            raise Conflict(
                "server_exists",
                f"There is a server {spec.server_id} already (upper and lower case are the same); delete it first.",
            ) from error

    def _reserve(self, server_id: str, port: int, protocol: str) -> None:
        try:
            self._store.change("INSERT INTO ports VALUES (?, ?, ?)", (port, protocol, server_id))
        except sqlite3.IntegrityError as error:
            holder = self._store.row("SELECT server_id FROM ports WHERE port = ? AND protocol = ?", (port, protocol))
            name = holder["server_id"] if holder else "another server"
            raise Conflict(
                "port_in_use",
                f"Port {port}/{protocol} belongs to {name}; choose another one.",
                port=port,
                server_id=name,
            ) from error

    def transaction(self) -> AbstractContextManager[None]:
        """Make several changes one."""
        return self._store.transaction()

    def get(self, server_id: str) -> Server | None:
        """Return the server of this id, whatever its case; None where there is none."""
        row = self._store.row("SELECT * FROM servers WHERE server_id = ?", (server_id,))
        return _server(row) if row else None

    def all(self) -> list[Server]:
        """Return every server, the oldest first."""
        return [_server(row) for row in self._store.rows("SELECT * FROM servers ORDER BY created_at, server_id")]

    def count(self) -> int:
        """Return how many servers there are."""
        row = self._store.row("SELECT COUNT(*) AS count FROM servers")
        return int(row["count"]) if row else 0

    def update(self, server_id: str, **values: str | int | bool | None) -> None:
        """Set columns of one server; the names are those of the table."""
        self._set(server_id, values)

    def set_public(self, server_id: str, ports: Ports | None, host: str | None) -> None:
        """Keep what the manager named for players."""
        self._set(
            server_id,
            {
                "public_game_port": ports.game if ports else None,
                "public_beacon_port": ports.beacon if ports else None,
                "public_host": host,
            },
        )

    def _set(self, server_id: str, values: Mapping[str, str | int | bool | None]) -> None:
        columns = ", ".join(f"{name} = ?" for name in values)
        self._store.change(
            f"UPDATE servers SET {columns} WHERE server_id = ?",  # noqa: S608 - the names are ours, not a caller's
            (*values.values(), server_id),
        )

    def remove(self, server_id: str) -> None:
        """Forget a server and free its ports."""
        self._store.change("DELETE FROM servers WHERE server_id = ?", (server_id,))


def _server(row: sqlite3.Row) -> Server:
    public = Ports(row["public_game_port"], row["public_beacon_port"]) if row["public_game_port"] else None
    return Server(
        spec=ServerSpec.model_validate_json(row["spec"]),
        container_wanted=bool(row["container_wanted"]),
        tunnel_wanted=bool(row["tunnel_wanted"]),
        deleting=bool(row["deleting"]),
        stopped_externally=bool(row["stopped_externally"]),
        public_ports=public,
        **{name: row[name] for name in _PLAIN_COLUMNS},
    )


_PLAIN_COLUMNS = (
    "public_host",
    "client_config",
    "restart_from",
    "bounced_for",
    "failure_code",
    "failure_message",
    "created_at",
)
