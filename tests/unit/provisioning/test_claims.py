"""Games with a password are the agent's, or their owner's, before their tunnel opens."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from core.errors import GameFailed, StoreFailed
from core.models import Ports
from core.servers import Server
from provisioning.claims import Claims
from provisioning.credentials import Credentials
from provisioning.layout import Layout
from satisfactory.admin import Admin
from tests.fakes.game import FakeGame
from tests.fakes.servers import _container
from tests.unit.core.conftest import spec_of
from tests.unit.provisioning.paper import SERVER

PORTS = Ports(7777, 8888)
CONTAINER = _container("running")
LOCKED = replace(SERVER, spec=spec_of().model_copy(update={"server_password": SecretStr("pass$word")}))


class Rig:
    """A game and those who may claim it."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self.credentials = Credentials(self.layout)
        self.game = FakeGame(root / "config")
        self.claims = Claims(self)  # type: ignore[arg-type]  # it has what Admins have

    def of(self, server: Server, _container: object, _ports: Ports) -> Admin:
        """Return the game's administrator, as the agent knows him now."""
        return Admin(self.game.local, self.game, self.credentials.of(server.server_id))

    def claim(self) -> None:
        """Claim the game."""
        self.claims.claim(LOCKED, CONTAINER, PORTS)

    @property
    def path(self) -> Path:
        """The file of the admin password."""
        return self.layout.credentials(LOCKED.server_id)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Return an unclaimed game."""
    return Rig(tmp_path)


def test_a_game_with_a_password_is_claimed_named_and_locked(rig: Rig) -> None:
    """The admin password is the agent's own, and in a private file."""
    assert rig.claims.due(LOCKED, CONTAINER)
    rig.claim()
    claim = rig.game.claims.claim
    assert (claim.server_name, claim.client_password) == (LOCKED.spec.server_name, "pass$word")
    assert claim.admin_password == rig.credentials.of(LOCKED.server_id)
    assert rig.path.stat().st_mode & 0o777 == 0o600
    assert not rig.claims.due(LOCKED, CONTAINER)


def test_one_without_a_password_is_nobodys_business(rig: Rig) -> None:
    """Its owner claims it."""
    assert not rig.claims.due(SERVER, CONTAINER)
    assert not rig.claims.due(LOCKED, None)


def test_each_run_is_asked_anew(rig: Rig) -> None:
    """Another port is another, unclaimed game; the admin password stays the same."""
    rig.claim()
    password = rig.credentials.of(LOCKED.server_id)
    assert rig.claims.due(LOCKED, replace(CONTAINER, started_at="2026-01-01T11:00:00Z"))
    rig.game = FakeGame(rig.layout.root / "another")
    rig.claim()
    assert rig.game.claims.claim.admin_password == password


def test_the_owners_game_is_left_as_it_is(rig: Rig) -> None:
    """Whoever claimed it first named it; the tunnel need not wait any longer."""
    Admin(rig.game.local, rig.game, None).claim("Mine", "the owner's own")
    rig.claim()
    claim = rig.game.claims.claim
    assert (claim.server_name, claim.admin_password, claim.client_password) == ("Mine", "the owner's own", "")
    assert not rig.claims.due(LOCKED, CONTAINER)


@pytest.mark.parametrize("function", ["RenameServer", "SetClientPassword"])
def test_a_claim_that_was_cut_off_is_finished(rig: Rig, monkeypatch: pytest.MonkeyPatch, function: str) -> None:
    """Until it is, the game counts as open to everybody."""
    answer = rig.game._answer

    def cut_off(call: dict[str, Any], token: str | None, *, trusted: bool) -> tuple[int, str]:
        if call["function"] == function:
            raise GameFailed("game_unreachable", "It died.")
        return answer(call, token, trusted=trusted)

    monkeypatch.setattr(rig.game, "_answer", cut_off)
    with pytest.raises(GameFailed):
        rig.claim()
    assert rig.claims.due(LOCKED, CONTAINER)
    monkeypatch.undo()
    rig.claim()
    assert rig.game.claims.claim.client_password == "pass$word"


def test_a_damaged_file_is_not_replaced(rig: Rig) -> None:
    """A new password would lock the agent out of a game that has the old one."""
    rig.path.parent.mkdir()
    rig.path.write_text("{")
    with pytest.raises(StoreFailed, match=r"cannot be read"):
        rig.claim()
    assert rig.path.read_text() == "{"


def test_the_password_goes_with_its_server(rig: Rig) -> None:
    """Nothing of it stays; a server that was never claimed is fine, too."""
    rig.claim()
    for _ in range(2):
        rig.claims.forget(LOCKED.server_id)
    assert not rig.path.exists()
