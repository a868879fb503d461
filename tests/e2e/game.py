"""One game server of the deployment, and a player of it."""

import contextlib
import json
import socket
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import requests
from docker.errors import NotFound
from docker.models.containers import Container

from core.errors import GameFailed
from satisfactory.probe import Way, ways
from satisfactory.query import MalformedAnswerError, build_poll, parse
from tests.e2e.deployment import DATA, Deployment, python
from tests.waiting import wait_until

_SETTLED_LOOKS = 8


@dataclass(frozen=True)
class Game:
    """A server that was asked for, with the ports that players type."""

    deployment: Deployment
    spec: dict[str, Any]

    @property
    def id(self) -> str:
        """The server's id."""
        return str(self.spec["serverId"])

    @property
    def game_port(self) -> int:
        """The public port of the lightweight query and the HTTPS API."""
        return int(self.spec["gamePort"])

    @property
    def beacon_port(self) -> int:
        """The public port of the messages."""
        return int(self.spec["beaconPort"])

    def spawn(self, **changes: object) -> requests.Response:
        """Ask for it, with changes to what was asked before."""
        return self.deployment.call("POST", "/api/containers/spawn", json={**self.spec, **changes})

    def order(self, verb: str, **more: object) -> None:
        """Have it started, stopped, restarted or killed."""
        answer = self.deployment.call("POST", f"/api/containers/{verb}", json={"serverId": self.id, **more})
        assert answer.status_code == 200, answer.text

    def delete(self) -> None:
        """Have it deleted."""
        answer = self.deployment.call("DELETE", f"/api/containers/{self.id}/delete")
        assert answer.status_code == 200, answer.text

    def delete_wholly(self) -> None:
        """Have it deleted, and wait until the VPS has forgotten it too."""
        self.delete()
        wait_until(lambda: self.deployment.instance_status(self.id) == 404, within=30, saying="the instance is gone")

    def status(self) -> dict[str, Any]:
        """Return what the API says of it."""
        answer = self.deployment.call("GET", f"/api/containers/{self.id}/status")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

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
    def container(self) -> Container:
        """Its container, as Docker says."""
        return self.deployment.container(self.id)

    def is_gone_from_docker(self) -> bool:
        """Whether there is no container of it."""
        try:
            self.container.reload()
        except NotFound:
            return True
        return False

    @property
    def started_at(self) -> str:
        """When its container was last started."""
        return str(self.container.attrs["State"]["StartedAt"])

    @property
    def pid(self) -> int | None:
        """The number of its rathole client in the agent's container, as the agent says."""
        client = self.deployment.call("GET", "/api/rathole/clients").json()["clients"].get(self.id, {})
        found: int | None = client.get("pid")
        return found

    def client_config(self) -> dict[str, Any]:
        """Return its client.toml as it is on disk."""
        return tomllib.loads(self.deployment.in_agent("cat", f"{DATA}/rathole/{self.id}/client.toml"))

    def save(self, name: str) -> None:
        """Have the game save, as its local administrator."""
        call = json.dumps({"function": "SaveGame", "data": {"saveName": name}})
        url = f"https://127.0.0.1:{self.game_port}/api/v1"
        curl = ["curl", "-ksSf", "-H", "Content-Type: application/json", "-d", call, url]
        code, output = self.container.exec_run(curl)
        assert code == 0, output

    def saves(self) -> list[str]:
        """Return the names of its saves on disk."""
        return self.deployment.in_agent("ls", f"{DATA}/satisfactory/{self.id}/data/{self.id}/saved/server").split()

    def wait_until_settled(self) -> None:
        """Wait until players can join, and the tunnel is no longer begun anew for the game's first answer."""
        seen: list[int | None] = []

        def settled() -> bool:
            seen.append(self.pid if self.phase == "ready" else None)
            return len(seen) >= _SETTLED_LOOKS and len(set(seen[-_SETTLED_LOOKS:])) == 1 and seen[-1] is not None

        wait_until(settled, within=60, saying=f"{self.id} is ready, with one and the same tunnel", every=0.25)

    def assert_reachable(self, within: float = 30) -> None:
        """Ask as a player's game does, in three ways, through the VPS's public ports."""
        ports = (str(self.game_port), str(self.beacon_port))
        probed = python("satisfactory.probe", "127.0.0.1", *ports, "--within", str(within))
        assert probed.returncode == 0, f"{self.id} does not answer:\n{probed.stdout}{probed.stderr}"

    def assert_silent(self) -> None:
        """Ask in the same ways, and see that nobody answers."""
        with ThreadPoolExecutor() as pool:
            answered = [*pool.map(_answers, ways("127.0.0.1", self.game_port, self.beacon_port))]
        assert answered == [False, False, False]


def _answers(way: Way) -> bool:
    try:
        way.ask()
    except GameFailed:
        return False
    return True


class Player:
    """Sends packets from one and the same UDP socket, as a game does, and counts those that nobody answers."""

    def __init__(self, game: Game, *, timeout: float = 2.0) -> None:
        self.answered = 0
        self.lost = 0
        self._address = ("127.0.0.1", game.game_port)
        self._left = threading.Event()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(timeout)
        self._thread = threading.Thread(target=self._play, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.play_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left.set()
        self._thread.join()
        self._socket.close()

    def play_on(self, packets: int = 20) -> None:
        """Wait until so many more packets were answered."""
        goal = self.answered + packets
        wait_until(lambda: self.answered >= goal, within=30, saying=f"{packets} more packets of a player are answered")

    def _play(self) -> None:
        cookie = 0
        while not self._left.wait(0.02):
            cookie += 1
            self._socket.sendto(build_poll(cookie), self._address)
            if self._is_answered(cookie):
                self.answered += 1
            else:
                self.lost += 1

    def _is_answered(self, cookie: int) -> bool:
        try:
            while True:
                with contextlib.suppress(MalformedAnswerError):  # a late answer to an earlier packet
                    parse(self._socket.recv(512), cookie)
                    return True
        except OSError:
            return False
