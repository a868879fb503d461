"""The table of servers: what should be. What is, is asked of Docker and /proc, never stored as truth."""

import sqlite3
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from core.clock import utc_now
from core.errors import Conflict
from core.failpoints import Failpoint
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
        crashed: its game died too often; it stays stopped until the next start.
        public_ports: what the instance manager named, None until it answered.
        public_host: the host that the manager named for players, if it did.
        client_config: the checked client.toml; it holds tokens.
        restart_from: a restart is asked for, of the container that was started at this time (Docker's text).
        bounced_for: the run of the game, and its address, for whose first answer the tunnel was begun anew.
        failure_code: why it could not be brought to what is wanted the last time; None once it could.
        failure_message: the same, as a sentence.
        deaths: what is remembered of its game's deaths (provisioning.budget), as JSON.
        last_crash: how its game was given up the last time, as JSON; None where it never was.
        created_at: when it was asked for, ISO 8601.
    """

    spec: ServerSpec
    container_wanted: bool
    tunnel_wanted: bool
    deleting: bool
    stopped_externally: bool
    crashed: bool
    public_ports: Ports | None
    public_host: str | None
    client_config: str | None
    restart_from: str | None
    bounced_for: str | None
    failure_code: str | None
    failure_message: str | None
    deaths: str | None
    last_crash: str | None
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
        with self._store.transaction(Failpoint.SERVER_WRITTEN):
            self._insert(spec)
            game, beacon = spec.ports.game, spec.ports.beacon
            for port, protocol in ((game, "udp"), (game, "tcp"), (beacon, "tcp")):
                self._reserve(spec.server_id, port, protocol)

    def restore(self, server: Server) -> None:
        """Take a server in as it was before the store was lost.

        Raises:
            Conflict: the id or one of the ports is taken.
        """
        columns = {name: getattr(server, name) for name in (*_FLAGS, *_PLAIN_COLUMNS)}
        with self._store.transaction(Failpoint.SERVER_WRITTEN):
            self.add(server.spec)
            self._set(server.server_id, columns)
            self.set_public(server.server_id, server.public_ports, server.public_host)

    def _insert(self, spec: ServerSpec) -> None:
        try:
            self._store.change(
                Failpoint.SERVER_WRITTEN,
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
            self._store.change(
                Failpoint.SERVER_WRITTEN, "INSERT INTO ports VALUES (?, ?, ?)", (port, protocol, server_id)
            )
        except sqlite3.IntegrityError as error:
            holder = self._store.row("SELECT server_id FROM ports WHERE port = ? AND protocol = ?", (port, protocol))
            name = holder["server_id"] if holder else "another server"
            raise Conflict(
                "port_in_use",
                f"Port {port}/{protocol} belongs to {name}; choose another one.",
                port=port,
                server_id=name,
            ) from error

    def transaction(self, name: Failpoint) -> AbstractContextManager[None]:
        """Make several changes one; `name` is the failpoint behind them."""
        return self._store.transaction(name)

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

    def update(self, server_id: str, **values: str | int | bool | None) -> bool:
        """Set columns of one server, the names being those of the table; tell whether one had another value."""
        return self._set(server_id, values)

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

    def _set(self, server_id: str, values: Mapping[str, str | int | bool | None]) -> bool:
        columns = ", ".join(f"{name} = ?" for name in values)
        differs = " OR ".join(f"{name} IS NOT ?" for name in values)
        touched = self._store.change(
            Failpoint.SERVER_WRITTEN,
            f"UPDATE servers SET {columns} WHERE server_id = ? AND ({differs})",  # noqa: S608 - the names are ours
            (*values.values(), server_id, *values.values()),
        )
        return touched > 0

    def remove(self, server_id: str) -> None:
        """Forget a server and free its ports."""
        self._store.change(Failpoint.ROW_REMOVED, "DELETE FROM servers WHERE server_id = ?", (server_id,))


def _server(row: sqlite3.Row) -> Server:
    public = Ports(row["public_game_port"], row["public_beacon_port"]) if row["public_game_port"] else None
    columns: dict[str, Any] = {name: bool(row[name]) for name in _FLAGS} | {name: row[name] for name in _PLAIN_COLUMNS}
    return Server(spec=ServerSpec.model_validate_json(row["spec"]), public_ports=public, **columns)


_FLAGS = ("container_wanted", "tunnel_wanted", "deleting", "stopped_externally", "crashed")
_PLAIN_COLUMNS = (
    "public_host",
    "client_config",
    "restart_from",
    "bounced_for",
    "failure_code",
    "failure_message",
    "deaths",
    "last_crash",
    "created_at",
)
