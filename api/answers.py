"""What callers get: the domain's views in the words of the wire."""

from collections.abc import Mapping, Sequence
from typing import Any

from compose.container import Container
from core.clock import utc_now
from core.models import Phase, Ports, Saved, SaveOutcome, TunnelState
from core.operations import Operation
from orchestrator.node import NodeStats
from provisioning.crashes import Crash
from provisioning.view import ClientView, ServerView, TunnelView
from rathole.services import ServiceStatus

Answer = dict[str, Any]

# An orchestrator reads Docker's words only. A server whose container is not there gets the one that comes nearest.
_WITHOUT_CONTAINER = {Phase.PROVISIONING: "created", Phase.STARTING: "created", Phase.DELETING: "removing"}


def done(message: str) -> Answer:
    """Return the plain success."""
    return {"status": "success", "message": message}


def nothing_there(server_id: str) -> str:
    """Say that there is nothing to end. That is a success: an orchestrator repeats a delete, and counts on it."""
    return f"There is no server {server_id} on this host; nothing is to be done."


def started(view: ServerView) -> Answer:
    """Return the answer to `start`: a tunnel that does not come up is no failure of it, but is said."""
    return done(_how(view))


def tunnel_started(view: ServerView) -> Answer:
    """Return the answer to the start of a tunnel: the agent goes on trying, and says how far it is."""
    return done(f"The tunnel of server {view.server_id} is {view.tunnel.state}: {view.tunnel.message}")


def ended(message: str, save: SaveOutcome | None) -> Answer:
    """Return that a game was ended, and whether it was saved before."""
    why = f" It was not saved: {save.message}" if save and save.message else ""
    return done(message + why) | _save(save)


def status(view: ServerView) -> Answer:
    """Return how a server is; `status` is Docker's own word, and the ports are those that players use."""
    container = view.container
    return {
        "serverId": view.server_id,
        "status": container.status if container else _WITHOUT_CONTAINER.get(view.phase, "exited"),
        "containerId": container.id if container else None,
        "created": container.created if container else None,
        "info": _info(container) if container else {},
        **_ports(view.ports),
        "agent": _agent(view),
    }


def spawned(view: ServerView) -> Answer:
    """Return the answer to `spawn`: the ports are the requested ones, `agent.publicAddress` is what players type."""
    return {
        "status": "success",
        # Never null: Docker takes a container's name wherever it takes its id, and the name is the server's id.
        "containerId": view.container.id if view.container else view.server_id,
        "serverId": view.server_id,
        **_ports(view.requested_ports),
        "message": _how(view),
        "agent": _agent(view),
    }


def containers(views: Sequence[ServerView], dangling: Sequence[Container]) -> Answer:
    """Return how all servers are, as of the oldest observation among them; null where one was never observed.

    `dangling` are the containers that look like a server's and belong to none.
    """
    return {
        "status": "success",
        "containers": [status(view) for view in views],
        "dangling": [_dangling(container) for container in dangling],
        "observedAt": min((view.observed_at or "" for view in views), default=utc_now()) or None,
    }


def clients(views: Mapping[str, ClientView]) -> Answer:
    """Return the rathole clients by server id."""
    return {"status": "success", "clients": {server_id: _client(view) for server_id, view in views.items()}}


def stats(node_id: str, usage: NodeStats, views: Sequence[ServerView]) -> Answer:
    """Return how busy the node is, in percent, and what runs on it."""
    present = [view for view in views if view.container]
    return {
        "nodeId": node_id,
        "cpuUsage": usage.cpu_usage,
        "memoryUsage": usage.memory_usage,
        "diskUsage": usage.disk_usage,
        "containerCount": len(present),
        "runningContainers": [v.server_id for v in present if v.container and v.container.status == "running"],
        "crashedServers": [view.server_id for view in views if view.phase is Phase.CRASHED],
        "timestamp": utc_now(),
    }


def health(node_id: str) -> Answer:
    """Return that the agent answers."""
    return {"status": "healthy", "nodeId": node_id, "timestamp": utc_now()}


def _how(view: ServerView) -> str:
    """Say how far a server is, what keeps its tunnel from working, or that it has none, and where players connect."""
    none = view.tunnel.state is TunnelState.STOPPED
    tunnel = "" if none else f", its tunnel {view.tunnel.state}"
    why = f" {view.tunnel.message}" if none or view.tunnel.reason else ""
    address = f" Players connect to {view.public_address}." if view.public_address else ""
    return f"Server {view.server_id} is {view.phase}{tunnel}.{why}{address}"


def _ports(ports: Ports) -> Answer:
    return {"gamePort": ports.game, "beaconPort": ports.beacon}


def _client(view: ClientView) -> Answer:
    return {
        "config_path": view.config_path,
        "game_port": view.ports.game,
        "beacon_port": view.ports.beacon,
        "started_at": view.status.started_at,
        "is_running": view.status.pid is not None,
        "pid": view.status.pid,
    }


def _info(container: Container) -> Answer:
    return {
        "image": container.image,
        "startedAt": container.started_at,
        "finishedAt": container.finished_at,
        "exitCode": container.exit_code,
        "oomKilled": container.oom_killed,
        "restartCount": container.restart_count,
        "health": container.health,
    }


def _dangling(container: Container) -> Answer:
    return {"name": container.name, "containerId": container.id, "status": container.status, "info": _info(container)}


def _crash(crash: Crash) -> Answer:
    return {"at": crash.at, "reason": crash.reason, "message": crash.message, "log": list(crash.log)}


def _agent(view: ServerView) -> Answer:
    return {
        "phase": view.phase,
        "reason": view.reason,
        "message": view.message,
        "tunnel": _tunnel(view.tunnel),
        "publicAddress": view.public_address,
        "requestedPorts": _ports(view.requested_ports),
        "operation": _operation(view.operation) if view.operation else None,
        "pendingChanges": view.pending_changes,
        "observedAt": view.observed_at,
        "lastCrash": _crash(view.last_crash) if view.last_crash else None,
    }


def _tunnel(tunnel: TunnelView) -> Answer:
    return {
        "state": tunnel.state,
        "reason": tunnel.reason,
        "message": tunnel.message,
        "since": tunnel.status.since,
        "services": {name: _service(service) for name, service in tunnel.status.services.items()},
    }


def _service(service: ServiceStatus) -> Answer:
    return {
        "state": service.state,
        "since": service.since,
        "lastError": service.last_error,
        "reconnects": service.reconnects,
    }


def _save(save: SaveOutcome | None) -> Answer:
    if save is None:
        return {"saved": None, "file": None, "seconds": None}
    # Programs ask whether it was saved; the third word is the one that is neither.
    saved = save.saved.value if save.saved is Saved.IMPOSSIBLE else save.saved is Saved.TRUE
    return {"saved": saved, "file": save.file, "seconds": save.seconds}


def _operation(operation: Operation) -> Answer:
    return {
        "id": operation.operation_id,
        "kind": operation.kind,
        "status": operation.status,
        "step": operation.step,
        "startedAt": operation.started_at,
        "endedAt": operation.ended_at,
        "errorCode": operation.error_code,
        "errorMessage": operation.error_message,
        **_save(operation.save),
    }
