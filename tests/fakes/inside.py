"""What the agent does inside games, of which the world in memory has none: who administrates, what was saved."""

from dataclasses import dataclass, field
from pathlib import Path

from compose.container import Container
from core.errors import AgentError
from core.models import OperationKind, Ports, Saved, SaveOutcome
from core.operations import Operation
from core.servers import Server
from provisioning.credentials import Credentials
from provisioning.operations import Operations
from satisfactory.admin import Admin
from tests.fakes.game import FakeGame


@dataclass
class FakeAdmins:
    """The administrators of games whose API is the stand-in's.

    Attributes:
        root: where the games keep their files.
        credentials: the passwords that the agent set.
        games: each game, by server.
    """

    root: Path
    credentials: Credentials
    games: dict[str, FakeGame] = field(default_factory=dict)

    def of(self, server: Server, _container: Container, _ports: Ports) -> Admin:
        """Return the administrator of a server's game."""
        game = self.games.setdefault(server.server_id, FakeGame(self.root / server.server_id))
        return Admin(game.local, game, self.credentials.of(server.server_id))


@dataclass
class FakeSaving:
    """Games that save at once, or not at all.

    Attributes:
        fault: raised instead of a save, unless somebody insists.
        saved: for what each run was saved, in turn; None where nobody had asked for its end.
    """

    fault: AgentError | None = None
    saved: list[tuple[str, OperationKind | None]] = field(default_factory=list)
    runs: dict[str, str] = field(default_factory=dict)

    def due(self, server_id: str, container: Container | None) -> bool:
        """Whether this run was not saved."""
        return (
            container is not None and container.status == "running" and self.runs.get(server_id) != container.started_at
        )

    def before_end(
        self,
        server: Server,
        container: Container,
        _ports: Ports,
        operation: Operation | None,
        operations: Operations,
    ) -> None:
        """Save this run, or say that it cannot be done."""
        if self.fault and not (operation and operations.get(operation).force):
            raise self.fault
        if operation:
            operations.saved(operation, SaveOutcome(Saved.TRUE, "save.sav", 0.1, ""))
        self.saved.append((server.server_id, operation.kind if operation else None))
        self.runs[server.server_id] = container.started_at

    def forget(self, server_id: str) -> None:
        """Drop it."""
        self.runs.pop(server_id, None)
