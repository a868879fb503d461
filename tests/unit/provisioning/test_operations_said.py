"""What the log tells of operations: an operator who follows it sees what was asked for and what came of it."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.errors import AgentError, ComposeFailed
from core.models import OperationKind
from core.operations import OperationTable
from core.store import Store
from provisioning.operations import Operations


@pytest.fixture
def operations(tmp_path: Path) -> Operations:
    """Return operations on a store of their own."""
    store = Store(tmp_path / "agent.db")
    return Operations(store, OperationTable(store))


@pytest.mark.parametrize(
    ("error", "said", "why"),
    [
        (None, "An operation is done.", None),
        (ComposeFailed("no_space", "The disk is full."), "An operation failed.", "The disk is full."),
    ],
    ids=["done", "failed"],
)
def test_the_log_tells_begin_and_end(
    operations: Operations, error: AgentError | None, said: str, why: str | None
) -> None:
    """Two lines, each with kind, server and operation; the reason stands in the second."""
    with capture_logs() as lines:
        operation = operations.begin("srv_1_00000001", OperationKind.START, lambda: None)
        operations.end(operation, error)
    assert [(line["event"], line["why"]) for line in lines] == [("An operation begins.", None), (said, why)]
    whose = {(line["kind"], line["server"], line["operation"]) for line in lines}
    assert whose == {("start", "srv_1_00000001", operation.operation_id)}
