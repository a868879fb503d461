"""Whether all is as it should be: once, and nothing of it lost."""

import json
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from docker.models.containers import Container

from core.errors import GameFailed
from satisfactory.probe import Way, ways
from tests.chaos.world import MARK, SPOILT, World
from tests.e2e.deployment import AGENT, EDGE

_INSIDE = Path(__file__).with_name("inside.py").read_text()
_NO_GAMES = {AGENT, EDGE, AGENT.replace("host-agent", "network-setup")}


class Judge:
    """Compares what is there with what is wanted.

    Args:
        world: what is judged.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._starts: dict[str, str] = {}

    def remember(self) -> None:
        """Hold on to when each game was started, to know one that was restarted since."""
        self._starts = {name: _start(container) for name, container in self._containers().items()}

    def assert_right(self, spared: Collection[str]) -> bool:
        """Raise with all that is not as it should be.

        Args:
            spared: the servers whose games must not have been restarted.
        """
        containers = self._containers()
        seen, expected = self._seen(containers), self._expected()
        different = {key: f"{seen[key]} and not {expected[key]}" for key in expected if seen[key] != expected[key]}
        restarted = [key for key in spared if key in containers and _start(containers[key]) != self._starts[key]]
        assert not different, different
        assert not restarted, f"restarted, though the fault was none of theirs: {restarted}"
        unserved = self._unserved()
        assert not unserved, f"not reached: {unserved}"
        return True

    def _expected(self) -> dict[str, Any]:
        ids, running = sorted(self._world.wishes), sorted(self._world.running())
        ports = [port for game in self._world.games for port in (game.game_port, game.game_port, game.beacon_port)]
        return {
            "ready": 200,
            "phases": {server_id: str(wish) for server_id, wish in self._world.wishes.items()},
            "dangling": [],
            "containers": {key: "running" if key in running else "exited" for key in ids},
            "gunicorns": 2,  # a master and one worker
            "clients": running,
            "composes": [],
            "rows": ids,
            "ports": sorted(ports),
            "followed": running,
            "under way": [],
            "processes": [["tunnel", server_id] for server_id in running],
            "orphans": [],
            "folders": [ids, ids, []],
            "whole": ids,
            "instances": ids,
            "instances in all": len(ids),
        }

    def _seen(self, containers: dict[str, Container]) -> dict[str, Any]:
        deployment = self._world.deployment
        ready = deployment.call("GET", "/readyz").status_code
        said = deployment.call("GET", "/api/containers").json()
        inside = json.loads(deployment.in_agent("python", "-c", _INSIDE, SPOILT, MARK))
        return {
            **inside,
            "ready": ready,
            "phases": {server["serverId"]: server["agent"]["phase"] for server in said["containers"]},
            "dangling": [container["name"] for container in said["dangling"]],
            "containers": {name: container.status for name, container in containers.items()},
            "followed": sorted(
                server_id
                for server_id in self._world.running()
                if server_id in containers and inside["followed"][server_id].startswith(_start(containers[server_id]))
            ),
        }

    def _containers(self) -> dict[str, Container]:
        return {c.name or "": c for c in self._world.deployment.containers() if c.name not in _NO_GAMES}

    def _unserved(self) -> list[str]:
        """Ask each game that runs as a new player does, and ask those who play all the time."""
        games = [game for game in self._world.games if game.id in self._world.running()]
        asked = [way for game in games for way in ways("127.0.0.1", game.game_port, game.beacon_port)]
        with ThreadPoolExecutor(len(asked) or 1) as pool:
            silent = [said for said in pool.map(_ask, asked) if said]
        players = zip(self._world.games, self._world.players, strict=True)
        return silent + [
            f"the old player of {game.id}" for game, one in players if game in games and not one.is_served()
        ]


def _start(container: Container) -> str:
    return str(container.attrs["State"]["StartedAt"])


def _ask(way: Way) -> str | None:
    try:
        way.ask()
    except GameFailed as failed:
        return f"{way.name} {way.port}: {failed.message}"
    return None
