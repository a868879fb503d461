"""When a game is saved before its end, and when it is not ended because it could not be saved."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from compose.container import Container
from core.errors import Conflict
from core.models import OperationKind, Ports, Saved
from core.operations import Operation, OperationTable
from core.servers import Server, ServerTable
from core.store import Store
from provisioning.games import Games
from provisioning.layout import Layout
from provisioning.operations import Operations
from provisioning.plan import Action, Observed, plan
from provisioning.saving import Saving
from satisfactory import saves
from satisfactory.admin import Admin
from tests.fakes.game import FakeGame
from tests.fakes.servers import _container
from tests.unit.core.conftest import spec_of
from tests.unit.provisioning.paper import FIRST_RUN, SERVER
from tests.unit.provisioning.test_follow import WELL

PORTS = Ports(7777, 8888)
DUE = replace(WELL, save_due=True)


class Rig:
    """One server whose game is a fake; nothing answers the query, so it is asked from inside, as without a network."""

    def __init__(self, root: Path) -> None:
        self.now = 1000.0
        self.store = Store(root / "agent.db")
        self.servers = ServerTable(self.store)
        self.servers.add(spec_of())
        self.operations = Operations(self.store, OperationTable(self.store))
        self.game = FakeGame(Layout(root).data(self.server.server_id))
        self.container: Container = replace(_container("running"), ip=None, started_at=FIRST_RUN)
        games = Games(lambda: self.now)
        self.saving = Saving(self, games, Layout(root), 5.0, wall=lambda: 0.0)  # type: ignore[arg-type]  # as Admins

    def of(self, _server: Server, _container: Container, _ports: Ports) -> Admin:
        """Return the game's administrator."""
        return Admin(self.game.local, self.game, None)

    @property
    def server(self) -> Server:
        """The row."""
        return self.servers.all()[0]

    def begin(self, kind: OperationKind = OperationKind.STOP, *, force: bool = False) -> Operation:
        """Begin an operation."""
        return self.operations.begin(self.server.server_id, kind, lambda: None, force=force)

    def save(self, operation: Operation | None) -> None:
        """Save the game, since it is to be ended."""
        self.saving.before_end(self.server, self.container, PORTS, operation, self.operations)

    def due(self) -> bool:
        """Whether it must be saved before its end."""
        return self.saving.due(self.server.server_id, self.container)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Return a server whose game is played."""
    rig = Rig(tmp_path)
    yield rig
    rig.store.close()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (OperationKind.STOP, "agent_stop_19700101T000000Z.sav"),
        (OperationKind.RESTART, "agent_restart_19700101T000000Z.sav"),
        (OperationKind.RECONFIGURE, "agent_upkeep_19700101T000000Z.sav"),
    ],
)
def test_the_operation_keeps_what_came_of_it(rig: Rig, kind: OperationKind, name: str) -> None:
    """The name tells for what it was saved, and the file is there."""
    operation = rig.begin(kind)
    rig.save(operation)
    outcome = rig.operations.get(operation).save
    assert outcome
    assert (outcome.saved, outcome.file) == (Saved.TRUE, name)
    assert (rig.game.config / "saved" / "server" / name).exists()


def test_once_saved_it_may_be_ended_for_a_while(rig: Rig) -> None:
    """A game that goes on for long, or was started again, is saved again."""
    assert rig.due()
    rig.save(rig.begin())
    assert not rig.due()
    rig.now += 60
    assert rig.due()
    rig.save(rig.begin())
    rig.container = replace(rig.container, started_at="2026-01-01T11:00:00Z")
    assert rig.due()


@pytest.mark.parametrize("status", ["exited", "restarting", "paused", "created"])
def test_what_does_not_run_cannot_be_saved(rig: Rig, status: str) -> None:
    """Nothing can be asked of it."""
    rig.container = replace(rig.container, status=status)
    assert not rig.due()


def test_a_game_that_cannot_be_saved_is_not_ended(rig: Rig) -> None:
    """The refusal names the game's reason and what the operation keeps, and it stays to be saved."""
    rig.game.world._save_fails = True
    operation = rig.begin()
    with pytest.raises(Conflict, match="save_game_failed") as refused:
        rig.save(operation)
    assert refused.value.code == "save_failed"
    assert rig.due()
    outcome = rig.operations.get(operation).save
    assert outcome
    assert outcome.saved is Saved.FALSE
    said = refused.value.details
    assert (said["saved"], said["file"], said["seconds"]) == (False, None, outcome.seconds)
    assert said["reason"] == outcome.message


def test_nor_is_it_for_the_agents_own_reasons(rig: Rig) -> None:
    """Nobody asked, so nobody can insist."""
    rig.game.world._save_fails = True
    with pytest.raises(Conflict):
        rig.save(None)


def test_who_insists_ends_it(rig: Rig) -> None:
    """Also one who comes to insist while the save of another goes on."""
    rig.game.world._save_fails = True
    operation = rig.begin()
    assert rig.begin(force=True).operation_id == operation.operation_id
    rig.save(operation)
    assert not rig.due()


def test_a_game_without_access_is_ended_all_the_same(rig: Rig) -> None:
    """It is said that it could not be saved; refusing would only make its stop impossible."""
    rig.game.trusts = False
    operation = rig.begin()
    rig.save(operation)
    outcome = rig.operations.get(operation).save
    assert outcome
    assert outcome.saved is Saved.IMPOSSIBLE
    assert not rig.due()


def test_a_game_that_never_answered_has_nothing_to_save(rig: Rig) -> None:
    """No outcome is written down, and it may be ended."""
    rig.game.up = False
    operation = rig.begin()
    rig.save(operation)
    assert rig.operations.get(operation).save is None
    assert not rig.due()


def test_a_game_that_ends_before_its_save_is_there_is_not_waited_for(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill or a delete has ended it, and whoever asked for that does not wait for the file."""
    looks = iter([None])

    def stamp(_path: Path) -> None:
        rig.game.up = rig.game.up and next(looks, "later") is None

    monkeypatch.setattr(saves, "stamp", stamp)
    rig.save(rig.begin())  # the clock stands still, so its deadline never comes
    assert not rig.game.up


@pytest.mark.parametrize(
    "changes",
    [
        {"container_wanted": False},
        {"stopped_externally": True},
        {"restart_from": FIRST_RUN},
        {"public_ports": Ports(40000, 40001)},
    ],
)
def test_the_save_comes_before_the_tunnels_end_and_the_containers(changes: dict[str, object]) -> None:
    """Save, then the tunnel, then the container; each by itself."""
    server = replace(SERVER, **changes)  # type: ignore[arg-type]
    ports = server.public_ports or PORTS
    assert plan(server, ports, DUE) == {Action.SAVE_GAME}
    saved = replace(DUE, save_due=False)
    assert plan(server, ports, saved) == {Action.STOP_TUNNEL}
    assert plan(server, ports, replace(saved, tunnel_runs=False)) == {Action.STOP_CONTAINER}


@pytest.mark.parametrize("changes", [{"deleting": True}, {"crashed": True}])
def test_what_is_deleted_or_given_up_is_not_saved(changes: dict[str, object]) -> None:
    """Its tunnel goes at once."""
    assert plan(replace(SERVER, **changes), PORTS, DUE) == {Action.STOP_TUNNEL}  # type: ignore[arg-type]


def test_a_game_that_goes_on_is_not_saved() -> None:
    """That it could be is no reason to do anything."""
    assert plan(SERVER, WELL.container.ports if WELL.container and WELL.container.ports else PORTS, DUE) == set()


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, {Action.CLAIM}),
        ({"game_ready": False}, set()),
        ({"claim_due": False}, {Action.RUN_TUNNEL}),
    ],
)
def test_the_tunnel_waits_for_the_claim(changes: dict[str, object], wanted: set[Action]) -> None:
    """Where a password was given nobody gets in before it is set; a tunnel that runs is left alone."""
    closed: Observed = replace(WELL, tunnel_runs=False, claim_due=True, game_ready=True)
    ports = SERVER.public_ports or PORTS
    assert plan(SERVER, ports, replace(closed, **changes)) == wanted  # type: ignore[arg-type]
    assert Action.STOP_TUNNEL not in plan(SERVER, ports, replace(closed, tunnel_runs=True))
