"""Containers and folders that look like ours and belong to no server that we know: said, and else left alone."""

from collections.abc import Callable
from pathlib import Path

from compose.container import Container
from compose.engine import Engine
from compose.file import SERVER_LABEL
from core.log import get_logger
from core.servers import ServerTable
from core.settings import Settings
from provisioning.layout import Layout

log = get_logger("dangling")

_INTERVAL = 10.0
_WORKING_DIR = "com.docker.compose.project.working_dir"


class Dangling:
    """Looks for them; a loop drives it.

    A container whose compose file lies in another data directory belongs to another agent on this engine.

    Args:
        settings: tells the grace, after which a container is removed; by default it never is.
        layout: our data directory.
        servers: what we know.
        engine: Docker.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        settings: Settings,
        layout: Layout,
        servers: ServerTable,
        engine: Engine,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._grace = settings.dangling_grace
        self._layout = layout
        self._servers = servers
        self._engine = engine
        self._clock = clock
        self._since: dict[str, float] = {}
        self._folders: set[Path] = set()
        self.containers: tuple[Container, ...] = ()

    def step(self) -> float:
        """Look once; return the seconds until the next time.

        Raises:
            AgentError: Docker or the store cannot be asked.
        """
        self.containers = tuple(found for found in self._engine.containers() if self._is_dangling(found))
        now = self._clock()
        self._since = {found.id: self._since.get(found.id) or self._first_seen(found, now) for found in self.containers}
        if self._grace is not None:
            for found in self.containers:
                if now - self._since[found.id] >= self._grace:
                    self._remove(found)
        self._say_folders()
        return _INTERVAL if self._grace is None else min(_INTERVAL, self._grace)

    def _is_dangling(self, container: Container) -> bool:
        # By name too: an adopted container of ours may carry another label than the server's.
        known = self._servers.get(container.labels[SERVER_LABEL]) or self._servers.get(container.name)
        made_by = container.labels.get(_WORKING_DIR)
        return known is None and (made_by is None or Path(made_by).is_relative_to(self._layout.root))

    def _first_seen(self, container: Container, now: float) -> float:
        log.warning(
            "A container carries the games' label and belongs to no server of this agent; it is left alone."
            if self._grace is None
            else "A container carries the games' label and belongs to no server of this agent; it will be removed.",
            container=container.name,
            status=container.status,
            grace=self._grace,
        )
        return now

    def _remove(self, container: Container) -> None:
        log.warning("A container that belongs to no server is removed; its data stays.", container=container.name)
        self._engine.remove(container.id)

    def _say_folders(self) -> None:
        """A folder may hold somebody's saves, so it is never removed but by a delete."""
        found = {folder for folder in self._folders_there() if self._servers.get(folder.name) is None}
        for folder in sorted(found - self._folders):
            log.warning(
                "A folder belongs to no server of this agent; look into it, then remove it.", folder=str(folder)
            )
        self._folders = found

    def _folders_there(self) -> list[Path]:
        parents = (self._layout.servers, self._layout.tunnels)
        return [folder for parent in parents if parent.is_dir() for folder in parent.iterdir() if folder.is_dir()]
