"""One game server of the nested host, and a player's question to it."""

import itertools
from collections.abc import Iterator
from typing import Any

import requests

from core.errors import GameFailed
from satisfactory.query import poll
from tests.e2e.nested.host import DATA, FIRST_PORT, LAST_PORT, Host
from tests.waiting import wait_until

_numbers: Iterator[int] = itertools.count()
_SETTLED_LOOKS = 6


class Game:
    """A server with an id and ports of its own.

    Attributes:
        id: its id, and its container's name.
        game_port: the public port of its lightweight query.
    """

    def __init__(self, host: Host) -> None:
        number = next(_numbers)
        self.id = f"srv_nested_{number:08d}"
        self.game_port = FIRST_PORT + 2 * number % (LAST_PORT + 1 - FIRST_PORT)
        self._host = host

    def spawn(self, timeout: float = 100) -> requests.Response:
        """Ask for it."""
        return self._host.call(
            "POST",
            "/api/containers/spawn",
            timeout=timeout,
            serverId=self.id,
            serverName="nested",
            gamePort=self.game_port,
            beaconPort=self.game_port + 1,
            ramAllocation=1,
            cpuAllocation=1,
            maxPlayers=4,
        )

    def ask(self, verb: str, **more: object) -> requests.Response:
        """Ask for it to be started, stopped, restarted or killed."""
        return self._host.call("POST", f"/api/containers/{verb}", serverId=self.id, **more)

    def delete(self) -> requests.Response:
        """Ask for its end."""
        return self._host.call("DELETE", f"/api/containers/{self.id}/delete")

    def status(self) -> dict[str, Any]:
        """Return what the agent says of it."""
        answer: dict[str, Any] = self._host.call("GET", f"/api/containers/{self.id}/status").json()
        return answer

    @property
    def phase(self) -> str:
        """What it does, as the agent says."""
        return str(self.status()["agent"]["phase"])

    @property
    def tunnel(self) -> dict[str, Any]:
        """Its tunnel, as the agent says."""
        found: dict[str, Any] = self.status()["agent"]["tunnel"]
        return found

    @property
    def pid(self) -> int | None:
        """The number of its rathole client in the agent's container."""
        clients = self._host.call("GET", "/api/rathole/clients").json()["clients"]
        found: int | None = clients.get(self.id, {}).get("pid")
        return found

    @property
    def started_at(self) -> str:
        """When its container was last started, as Docker says."""
        return self._host.started_at(self.id)

    def is_answered(self) -> bool:
        """Whether a new player's question through the VPS gets an answer."""
        try:
            poll("127.0.0.1", self.game_port, timeout=0.5)
        except GameFailed:
            return False
        return True

    def wait_until_answered(self, within: float = 40) -> None:
        """Wait until players reach it."""
        wait_until(self.is_answered, within=within, saying=f"players reach {self.id}; {self._host.agent_log()}")

    def wait_until_settled(self) -> None:
        """Wait until players can join, and the tunnel is no longer begun anew for the game's first answer."""
        seen: list[int | None] = []

        def settled() -> bool:
            seen.append(self.pid if self.phase == "ready" else None)
            return len(seen) >= _SETTLED_LOOKS and len(set(seen[-_SETTLED_LOOKS:])) == 1 and seen[-1] is not None

        wait_until(settled, within=60, saying=f"{self.id} is ready, with one and the same tunnel", every=0.25)

    def files(self) -> list[str]:
        """Return every file and folder below the data directory that carries its id."""
        return self._host.engine.inside("find", str(DATA), "-path", f"*{self.id}*").split()
