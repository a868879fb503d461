"""What Docker says of containers and networks, as plain values."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from compose.file import NETWORK
from core.models import Ports

# Docker names an anonymous volume by 64 hexadecimal digits.
_ANONYMOUS = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Container:
    """One container as Docker saw it at one moment.

    Attributes:
        status: Docker's own word: created running paused restarting removing exited dead.
        created: when it was made, as Docker writes it (ISO 8601, UTC).
        started_at: when it was last started, in the same form; in the year 0001 if never.
        finished_at: when it last ended, likewise.
        exit_code: of its last end; 0 also while there was none.
        restart_count: restarts by Docker's policy since it was made.
        network_ids: id of each network it belongs to, by the network's name. A running container can
            belong to none, and a stopped one to one that is gone (tried with engine 20.10).
        ip: its IPv4 address in the servers' network; None where it has none, as while it is stopped.
        ports: the ports that its game was told at its making; None where it was told none.
        health: starting, healthy or unhealthy; None where the image checks nothing.
        volumes: names of the Docker volumes that it mounts.
    """

    id: str
    name: str
    status: str
    created: str
    started_at: str
    finished_at: str
    exit_code: int
    oom_killed: bool
    restart_count: int
    image: str
    labels: Mapping[str, str]
    network_ids: Mapping[str, str]
    ip: str | None
    ports: Ports | None
    health: str | None
    volumes: tuple[str, ...]

    @property
    def anonymous_volumes(self) -> tuple[str, ...]:
        """Those of its volumes that nobody named, and that end with it."""
        return tuple(volume for volume in self.volumes if _ANONYMOUS.fullmatch(volume))


@dataclass(frozen=True)
class Network:
    """One Docker network.

    Attributes:
        created: when it was made, as Docker writes it; sorts by time.
        members: names of the running containers on it, by id; stopped ones are not among them.
    """

    id: str
    name: str
    created: str
    labels: Mapping[str, str]
    members: Mapping[str, str]
    subnets: tuple[str, ...]
    gateways: tuple[str, ...]


@dataclass(frozen=True)
class Event:
    """Something that happened to a container or a network.

    Attributes:
        kind: container or network.
        name: of the container; of the network.
        action: Docker's word, e.g. start die stop kill oom destroy, or connect disconnect of a network.
        time_ns: when, in nanoseconds since 1970.
        attributes: what Docker adds, e.g. exitCode, or the container's id for a network's event.
    """

    kind: str
    name: str
    action: str
    time_ns: int
    attributes: Mapping[str, str]


def container_of(inspected: Mapping[str, Any]) -> Container:
    """Return the container that `docker inspect` describes."""
    state, config = inspected["State"], inspected["Config"]
    networks = inspected["NetworkSettings"]["Networks"]
    return Container(
        id=inspected["Id"],
        name=inspected["Name"].removeprefix("/"),
        status=state["Status"],
        created=inspected["Created"],
        started_at=state["StartedAt"],
        finished_at=state["FinishedAt"],
        exit_code=state["ExitCode"],
        oom_killed=state["OOMKilled"],
        restart_count=inspected["RestartCount"],
        image=config["Image"],
        labels=config["Labels"] or {},
        network_ids={name: entry["NetworkID"] for name, entry in networks.items()},
        ip=networks.get(NETWORK, {}).get("IPAddress") or None,
        ports=_ports(config["Env"] or []),
        health=state.get("Health", {}).get("Status"),
        volumes=tuple(mount["Name"] for mount in inspected["Mounts"] if mount["Type"] == "volume"),
    )


def _ports(lines: Sequence[str]) -> Ports | None:
    environment = dict(line.split("=", 1) for line in lines if "=" in line)
    game, beacon = environment.get("SERVERGAMEPORT", ""), environment.get("SERVERMESSAGINGPORT", "")
    return Ports(int(game), int(beacon)) if game.isdecimal() and beacon.isdecimal() else None


def network_of(inspected: Mapping[str, Any]) -> Network:
    """Return the network that `docker network inspect` describes."""
    pools = inspected["IPAM"]["Config"] or []
    return Network(
        id=inspected["Id"],
        name=inspected["Name"],
        created=inspected["Created"],
        labels=inspected["Labels"] or {},
        members={key: member["Name"] for key, member in inspected["Containers"].items()},
        subnets=tuple(pool["Subnet"] for pool in pools if pool.get("Subnet")),
        gateways=tuple(pool["Gateway"] for pool in pools if pool.get("Gateway")),
    )


def event_of(line: Mapping[str, Any]) -> Event:
    """Return the event that one line of Docker's stream describes."""
    attributes = line["Actor"]["Attributes"]
    return Event(line["Type"], attributes.get("name", ""), line["Action"], line["timeNano"], attributes)
