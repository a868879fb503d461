"""What is served, to whom, by what: one row a route."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from api import containers, node, tunnels
from api.answers import Answer


class Access(Enum):
    """Who may call a route."""

    OPEN = auto()
    """Everyone."""
    KEY = auto()
    """Who has the key, or comes from a trusted network."""


@dataclass(frozen=True)
class Route:
    """One row.

    Attributes:
        method: the HTTP method.
        path: the path; `<server_id>` in it is checked before the handler sees it.
        access: who may call it.
        handler: is given the services and the parts of the path, and returns the answer's JSON.
    """

    method: str
    path: str
    access: Access
    handler: Callable[..., Answer]

    @property
    def name(self) -> str:
        """The route's own name, e.g. `GET /api/stats`."""
        return f"{self.method} {self.path}"


ROUTES = (
    Route("POST", "/api/containers/spawn", Access.KEY, containers.spawn),
    Route("POST", "/api/containers/start", Access.KEY, containers.start),
    Route("POST", "/api/containers/stop", Access.KEY, containers.stop),
    Route("POST", "/api/containers/restart", Access.KEY, containers.restart),
    Route("POST", "/api/containers/kill", Access.KEY, containers.kill),
    Route("POST", "/api/containers/stop-all", Access.KEY, containers.stop_all),
    Route("GET", "/api/containers", Access.KEY, containers.everything),
    Route("GET", "/api/containers/<server_id>/status", Access.KEY, containers.status),
    Route("DELETE", "/api/containers/<server_id>/delete", Access.KEY, containers.delete),
    Route("GET", "/api/rathole/clients", Access.KEY, tunnels.clients),
    Route("POST", "/api/rathole/clients/<server_id>/configure", Access.KEY, tunnels.configure),
    Route("POST", "/api/rathole/clients/<server_id>/start", Access.KEY, tunnels.start),
    Route("POST", "/api/rathole/clients/<server_id>/stop", Access.KEY, tunnels.stop),
    Route("GET", "/api/stats", Access.KEY, node.stats),
    Route("GET", "/api/health", Access.OPEN, node.health),
    Route("GET", "/health", Access.OPEN, node.health),
    Route("GET", "/healthz", Access.OPEN, node.alive),
    Route("GET", "/readyz", Access.OPEN, node.ready),
)
