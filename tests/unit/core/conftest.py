"""A store and a maker of server requests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.models import ServerSpec
from core.store import Store

MakeSpec = Callable[..., ServerSpec]


def spec_of(**values: Any) -> ServerSpec:  # noqa: ANN401 - a test may give anything
    """Return a request, as JSON would bring it, with these values in place of the usual ones."""
    usual = {"serverId": "srv_a_00000001", "serverName": "A", "gamePort": 30000, "beaconPort": 31000, "maxPlayers": 4}
    return ServerSpec.model_validate({**usual, **values})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Return an empty store in a folder of its own."""
    opened = Store(tmp_path / "agent" / "agent.db")
    yield opened
    opened.close()
