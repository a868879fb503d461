"""Stopping all games before the agent is taken down, and what follows where one does not stop."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from compose.file import STOP_GRACE_SECONDS
from core.errors import DeadlinePassed
from core.operations import OperationTable
from core.servers import ServerTable
from core.store import Store
from provisioning import servers as module
from provisioning.actions import Actions
from provisioning.ending import drain_patience
from provisioning.operations import Operations
from provisioning.reconciler import Reconciler
from provisioning.servers import Servers


@pytest.fixture
def reconciler(tmp_path: Path) -> Reconciler:
    """Return a reconciler that keeps no server."""
    store = Store(tmp_path / "agent.db")
    hands: Any = SimpleNamespace(servers=ServerTable(store), settings=None, stops=None)
    return Reconciler(hands, Operations(store, OperationTable(store)), Actions(hands))


@pytest.fixture
def servers(reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch) -> Servers:
    """Return the servers of that reconciler, of which none may be waited for."""
    monkeypatch.setattr(module, "drain_patience", lambda _settings: 0.0)
    none: Any = SimpleNamespace(containers=())
    return Servers(reconciler._hands, reconciler._operations, reconciler._actions, reconciler, none)


def test_stopped_games_stay_so_until_the_agent_is_gone(servers: Servers, reconciler: Reconciler) -> None:
    """The agent is about to be taken down, and begins nothing new before."""
    servers.stop_games()
    assert reconciler.draining.is_set()


def test_the_agent_goes_on_where_a_game_still_runs(
    servers: Servers, reconciler: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever asked leaves the agent where it is then; one that went on stopping games would be of no use."""
    monkeypatch.setattr(servers, "_running", lambda: ["srv_1_00000001"])
    with pytest.raises(DeadlinePassed, match="srv_1_00000001"):
        servers.stop_games()
    assert not reconciler.draining.is_set()


def test_a_save_may_take_its_time_before_a_stop() -> None:
    """Else the agent would give up on a game that is doing as it should."""
    slow: Any = SimpleNamespace(save_timeout=600)
    assert drain_patience(slow) > 600 + STOP_GRACE_SECONDS
