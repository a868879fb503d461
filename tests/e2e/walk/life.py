"""The operations of one server's life, and the world as it should be after each."""

import tomllib
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import requests
import tomli_w

from tests.e2e.walk.deployment import AGENT, DATA, FIRST_PORT, Deployment, run


class State(StrEnum):
    """What a server can be after an operation."""

    GONE = "gone"
    RUNNING = "running"
    STOPPED = "stopped"
    LOCKED = "locked"  # it runs, and the agent has claimed it
    UNREACHABLE = "unreachable"  # it runs, without tunnel and without instance


class Step(StrEnum):
    """An operation, as the API's caller asks for it."""

    PROVISION = "provision"
    CLAIM = "claim"  # the provision of a game with a password
    RECONFIGURE = "reconfigure"
    CLOSE = "close"  # the tunnel is taken away; to the agent a reconfigure as well
    OPEN = "open"  # and brought back
    FAIL = "fail"  # a provision whose container cannot be made, so that all is undone
    STOP = "stop"
    START = "start"
    RESTART = "restart"
    KILL = "kill"
    DELETE = "delete"


BEFORE = {
    Step.PROVISION: State.GONE,
    Step.CLAIM: State.GONE,
    Step.FAIL: State.GONE,
    Step.RECONFIGURE: State.RUNNING,
    Step.CLOSE: State.RUNNING,
    Step.OPEN: State.UNREACHABLE,
    Step.STOP: State.RUNNING,
    Step.START: State.STOPPED,
    Step.RESTART: State.RUNNING,
    Step.KILL: State.RUNNING,
    Step.DELETE: State.RUNNING,
}
AFTER = {
    Step.PROVISION: State.RUNNING,
    Step.CLAIM: State.LOCKED,
    Step.FAIL: State.GONE,
    Step.RECONFIGURE: State.RUNNING,
    Step.CLOSE: State.UNREACHABLE,
    Step.OPEN: State.RUNNING,
    Step.STOP: State.STOPPED,
    Step.START: State.RUNNING,
    Step.RESTART: State.RUNNING,
    Step.KILL: State.STOPPED,
    Step.DELETE: State.GONE,
}
# The shortest way from one state to another.
_WAYS = {
    (State.GONE, State.RUNNING): [Step.PROVISION],
    (State.GONE, State.STOPPED): [Step.PROVISION, Step.KILL],
    (State.GONE, State.UNREACHABLE): [Step.PROVISION, Step.CLOSE],
    (State.RUNNING, State.STOPPED): [Step.KILL],
    (State.RUNNING, State.UNREACHABLE): [Step.CLOSE],
    (State.STOPPED, State.RUNNING): [Step.START],
    (State.STOPPED, State.UNREACHABLE): [Step.START, Step.CLOSE],
    (State.UNREACHABLE, State.RUNNING): [Step.OPEN],
    (State.UNREACHABLE, State.STOPPED): [Step.OPEN, Step.KILL],
}


def way(start: State, goal: State) -> list[Step]:
    """Return the steps from one state to another."""
    if start is goal:
        return []
    if goal is State.GONE:
        return [Step.DELETE]
    if start is State.LOCKED:
        return [Step.DELETE, *way(State.GONE, goal)]
    return _WAYS[start, goal]


@dataclass
class Life:
    """One server.

    Attributes:
        config: the client.toml that the next reconfigure sends.
        run_before: the game's run that the next restart is to end.
    """

    deployment: Deployment
    number: int
    config: str = ""
    run_before: str = ""

    @property
    def id(self) -> str:
        """Its id."""
        return f"srv_walk_{self.number:08d}"

    @property
    def ports(self) -> tuple[int, int]:
        """The game's and the beacon's."""
        first = FIRST_PORT + 2 * (self.number % 30)
        return first, first + 1

    def prepare(self, step: Step) -> None:
        """Think of what the step needs, once for all its repetitions."""
        if step is Step.RECONFIGURE:
            path = DATA / "rathole" / self.id / "client.toml"
            config = tomllib.loads(run("docker", "exec", AGENT, "cat", str(path)))
            config["client"]["heartbeat_timeout"] = config["client"].get("heartbeat_timeout", 40) + 1
            self.config = tomli_w.dumps(config)
        elif step is Step.RESTART:
            self.run_before = self._run()
        elif step is Step.FAIL:
            self.deployment.break_compose(self.id)

    def finish(self, step: Step) -> None:
        """Take back what the step needed."""
        if step is Step.FAIL:
            self.deployment.mend_compose()

    def _run(self) -> str:
        return run("docker", "inspect", "--format", "{{.State.StartedAt}}", self.id).strip()

    def ask(self, step: Step) -> requests.Response:
        """Ask for a step."""
        game, beacon = self.ports
        tunnel, games = f"/api/rathole/clients/{self.id}", "/api/containers"
        words: dict[Step, tuple[str, str, dict[str, object]]] = {
            Step.PROVISION: ("POST", f"{games}/spawn", self._spec(None)),
            Step.CLAIM: ("POST", f"{games}/spawn", self._spec("walk")),
            Step.FAIL: ("POST", f"{games}/spawn", self._spec(None)),
            Step.RECONFIGURE: ("POST", f"{tunnel}/configure", {"clientConfig": self.config}),
            Step.CLOSE: ("POST", f"{tunnel}/stop", {}),
            Step.OPEN: ("POST", f"{tunnel}/start", {"gamePort": game, "beaconPort": beacon}),
            Step.STOP: ("POST", f"{games}/stop", {"serverId": self.id}),
            Step.START: ("POST", f"{games}/start", {"serverId": self.id}),
            Step.RESTART: ("POST", f"{games}/restart", {"serverId": self.id}),
            Step.KILL: ("POST", f"{games}/kill", {"serverId": self.id}),
            Step.DELETE: ("DELETE", f"{games}/{self.id}/delete", {}),
        }
        method, path, body = words[step]
        return self.deployment.call(method, path, **body)

    def _spec(self, password: str | None) -> dict[str, object]:
        game, beacon = self.ports
        return {
            "serverId": self.id,
            "serverName": "Walk",
            "gamePort": game,
            "beaconPort": beacon,
            "ramAllocation": 1,
            "cpuAllocation": 1,
            "maxPlayers": 4,
            "serverPassword": password,
            # So the game first answers after its tunnel was begun, which is begun anew for that, each time.
            "environmentVariables": {"STANDIN_STARTUP_SECONDS": "1"},
        }

    def seen(self) -> dict[str, Any]:
        """Return all that there is of it: nothing may be missing, nothing left over, nothing twice."""
        containers = self.deployment.games()
        instances = self.deployment.instances()
        assert instances == 0 or self.instance_status() == 200, "the manager has an instance of another server"
        running = run("docker", "ps", "--format", "{{.Names}}").split()
        snapshot = self.deployment.snapshot()
        return {
            **snapshot,
            "containers": containers,
            "running": [name for name in containers if name in running],
            "instances": instances,
        }

    def expected(self, state: State) -> dict[str, Any]:
        """Return what there should be of it."""
        here = [] if state is State.GONE else [self.id]
        tunnelled = [self.id] if state in {State.RUNNING, State.LOCKED} else []
        known = [self.id] if state is State.STOPPED else tunnelled
        game, beacon = self.ports
        return {
            "clients": tunnelled,
            "composes": [],
            "rows": here,
            "ports": [game, game, beacon] if here else [],
            "open": [],
            "processes": [["tunnel", self.id]] if tunnelled else [],
            "orphans": [],
            "folders": [here, known, [], [f"{self.id}.json"] if state is State.LOCKED else []],
            "containers": here,
            "running": here if state is not State.STOPPED else [],
            "instances": len(known),
        }

    def is_right(self, step: Step) -> bool:
        """Whether all is as it should be after a step, and at rest; else raises with what differs."""
        state = AFTER[step]
        seen, expected = self.seen(), self.expected(state)
        different = {key: (seen[key], expected[key]) for key in expected if seen[key] != expected[key]}
        assert not different, f"seen and expected differ: {different}"
        if expected["running"]:
            started_at = self._run()
            assert step is not Step.RESTART or started_at != self.run_before, "it was not restarted"
            assert state is State.UNREACHABLE or seen["bounced_for"].startswith(started_at), "its tunnel is begun anew"
            said = self.deployment.status(self.id)["agent"]
            assert said["phase"] == "ready" or (state is State.UNREACHABLE and said["phase"] == "degraded"), said
        return True

    def instance_status(self) -> int:
        """Return the HTTP status with which the manager answers for its instance."""
        return self.deployment.instance_status(self.id)

    def has_config(self) -> bool:
        """Whether the tunnel's file is the one that was sent."""
        path = DATA / "rathole" / self.id / "client.toml"
        return tomllib.loads(run("docker", "exec", AGENT, "cat", str(path))) == tomllib.loads(self.config)
