"""Traffic at a fixed rate through a server's tunnel: every packet has a number, so every lost one is missed."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from docker.models.containers import Container

from core.log import get_logger
from tests.e2e.deployment import ROOT, Deployment
from tests.e2e.game import Game
from tests.waiting import wait_until

RATE = 1000  # packets a second, of each protocol
# What a hold-up of more than 10 ms keeps back is never sent. On a host that shares its two cores with others that is no
# fault of the agent's; the long run is for a quiet one.
_LEAST_SHARE = 0.8 if os.environ.get("SATIS_LONG") else 0.5

log = get_logger("traffic")


@dataclass(frozen=True)
class Count:
    """What came of one protocol's packets so far."""

    sent: int = 0
    answered: int = 0

    @property
    def lost(self) -> int:
        """How many were not answered."""
        return self.sent - self.answered


class Traffic:
    """A player of each protocol, at `RATE` packets a second each, as long as the block lasts."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self._counts = {"udp": Count(), "tcp": Count()}
        self._seconds = 0.0
        self._drops_before = self._drops()
        argv = [sys.executable, "-m", "tests.e2e.packets", str(game.game_port), str(game.beacon_port), str(RATE)]
        self._players = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        self.go_on(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._players:  # closes its stdin, which tells it to stop, and waits for it
            assert self._players.stdin is not None
            self._players.stdin.close()
            self._reader.join()
        if error is None:
            assert self._players.returncode == 0, "the players were cut off; what happened stands on stderr"

    def go_on(self, seconds: float) -> None:
        """Wait until so many seconds' packets more were answered."""
        goals = {name: count.answered + seconds * RATE for name, count in self._counts.items()}
        wait_until(
            lambda: all(self._counts[name].answered >= goal for name, goal in goals.items()),
            within=5 * seconds + 10,
            saying=f"{seconds} s of traffic more are answered",
        )

    def assert_nothing_lost(self, what: str) -> None:
        """Every packet sent was answered, at the rate that is spoken of.

        Where one was not, say which network on its way had no room for it.
        """
        udp, tcp = self._counts["udp"], self._counts["tcp"]
        drops = {name: count - self._drops_before[name] for name, count in self._drops().items()}
        log.info(
            what,
            seconds=round(self._seconds, 2),
            udp=udp.sent,
            udp_lost=udp.lost,
            tcp=tcp.sent,
            tcp_lost=tcp.lost,
            no_room=drops,
        )
        assert (udp.lost, tcp.lost) == (0, 0), f"{what}: of {udp} and {tcp}; the kernel's RcvbufErrors: {drops}"
        assert min(udp.sent, tcp.sent) >= _LEAST_SHARE * RATE * self._seconds, (
            f"{what}: {udp} and {tcp} in {self._seconds:.2f} s are too few: to lose none of them shows nothing"
            f" about {RATE} a second"
        )

    def _read(self) -> None:
        assert self._players.stdout is not None
        for line in self._players.stdout:
            said = json.loads(line)
            self._seconds = said["seconds"]
            self._counts = {name: Count(**counts) for name, counts in said["counts"].items()}

    def _drops(self) -> dict[str, int]:
        """Return the RcvbufErrors of every network that the packets pass."""
        deployment = self._game.deployment
        found = {"host": _rcvbuf_errors(Path("/proc/net/snmp").read_text())}
        for container in (deployment.edge, deployment.agent, self._game.container):
            found[container.name or ""] = _rcvbuf_errors(_snmp(container))
        return found


def _snmp(container: Container) -> str:
    text: str = container.exec_run(["cat", "/proc/net/snmp"]).output.decode()
    return text


def _rcvbuf_errors(snmp: str) -> int:
    names, values = (line.split() for line in snmp.splitlines() if line.startswith("Udp:"))
    return int(values[names.index("RcvbufErrors")])


class Pulse:
    """Asks the API again and again, and notes the longest time that it did not answer."""

    def __init__(self, deployment: Deployment) -> None:
        self.longest_silence = 0.0
        self._deployment = deployment
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _ask(self) -> None:
        last = time.monotonic()
        while not self._done.wait(0.05):
            if self._answers():
                now = time.monotonic()
                self.longest_silence = max(self.longest_silence, now - last)
                last = now

    def _answers(self) -> bool:
        try:
            return self._deployment.answers()
        except OSError:  # requests' own errors are such
            return False
