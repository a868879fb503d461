"""Five servers with a player each, and what is wanted of them."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from types import TracebackType
from typing import Self

from docker.models.containers import Container

from tests.chaos.player import Player
from tests.e2e.deployment import DATA, FIRST_PORT, Deployment
from tests.e2e.game import Game

SERVERS = 5
SPOILT = "# chaos"  # what a fault writes into a file
MARK = "of-this-life"  # what each new server's data is marked with

# Sends a signal to all whose command line holds all these words, or them in a path.
_SIGNAL = """
import contextlib, os, psutil, sys
number, words = int(sys.argv[1]), sys.argv[2:]
for process in psutil.process_iter(["pid", "cmdline"]):
    parts = {part for word in process.info["cmdline"] or () for part in (word, *word.split("/"))}
    if process.pid not in (1, os.getpid()) and parts.issuperset(words):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
"""


class Wish(StrEnum):
    """What is wanted of a server; the words are the agent's phases once that is so."""

    RUNS = "ready"
    STOPPED = "stopped"
    BY_HAND = "stopped_externally"


class World:
    """All that a fault can reach.

    Args:
        deployment: an agent and an edge that run, without servers.
        seed: of all that is left to chance.
    """

    def __init__(self, deployment: Deployment, seed: int) -> None:
        self.deployment = deployment
        self.random = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.games = [Game(deployment, _spec(number)) for number in range(SERVERS)]
        self.players = [Player(game.game_port) for game in self.games]
        self.wishes = dict.fromkeys((game.id for game in self.games), Wish.RUNS)

    def __enter__(self) -> Self:
        for game in self.games:
            self.provision(game)
        for player in self.players:
            player.join()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for player in self.players:
            player.leave()

    def provision(self, game: Game, callers: int = 1) -> None:
        """Have a server made, by one caller or several at one moment: one server, one answer."""
        with ThreadPoolExecutor(callers) as pool:
            answers = [task.result() for task in [pool.submit(game.spawn) for _ in range(callers)]]
        assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
        assert len({answer.json()["containerId"] for answer in answers}) == 1, [answer.text for answer in answers]
        self.mark(game)

    def mark(self, game: Game) -> None:
        """Mark a new server's data, which must hold no mark of an earlier one."""
        mark = f"{DATA}/satisfactory/{game.id}/data/{game.id}/{MARK}"
        self.deployment.in_agent("sh", "-c", f"test ! -e {mark} && touch {mark}")
        self.wishes[game.id] = Wish.RUNS

    def running(self) -> list[str]:
        """Return the ids of the servers that shall run."""
        return [server_id for server_id, wish in self.wishes.items() if wish is Wish.RUNS]

    def pass_time(self, least: float, most: float) -> None:
        """Let a random time pass: how long something is away, or how far an operation gets."""
        threading.Event().wait(self.random.uniform(least, most))


def signal(container: Container, number: int, *words: str) -> None:
    """Send a signal to all processes in a container whose command line holds these words."""
    code, output = container.exec_run(["python", "-c", _SIGNAL, str(number), *words])
    assert code == 0, output.decode()


def _spec(number: int) -> dict[str, object]:
    port = FIRST_PORT + 2 * number
    return {
        "serverId": f"srv_chaos_{number:08d}",
        "serverName": f"Chaos {number}",
        "gamePort": port,
        "beaconPort": port + 1,
        "ramAllocation": 1,
        "cpuAllocation": 1,
        "maxPlayers": 4,
        "serverPassword": None,
        "environmentVariables": {},
    }
