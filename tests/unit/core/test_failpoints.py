"""The failpoints: all of them are somewhere, and unless asked for they do nothing."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.failpoints import Failpoint, reached
from core.store import Store

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("agent.py", "api", "compose", "core", "orchestrator", "provisioning", "rathole", "satisfactory")

# What commits; a name that is handed on is checked where it is given.
COMMITS = {"transaction", "change"}


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Yield every module of the agent, by its path."""
    for room in ROOMS:
        path = ROOT / room
        for file in [path] if path.is_file() else path.rglob("*.py"):
            if file.name != "failpoints.py":
                yield str(file.relative_to(ROOT)), ast.parse(file.read_text())


def named(node: ast.AST) -> Iterator[str]:
    """Yield the names of the failpoints in a piece of code."""
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "Failpoint":
            yield part.attr


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Yield where, what and how of each call by its dotted name."""
    for path, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield f"{path}:{node.lineno}", ast.unparse(node.func), node


def test_every_failpoint_is_in_the_code() -> None:
    """The list names nothing that is gone."""
    used = Counter(name for _, tree in trees() for name in named(tree))
    assert set(used) == set(Failpoint.__members__)


def test_a_point_is_reached_by_its_name() -> None:
    """What is called can be looked up: no name is computed."""
    for where, name, call in calls():
        if name == "reached" and not where.startswith("core/store.py"):  # which is handed the names of all commits
            assert len(call.args) == 1, where
            assert len(list(named(call.args[0]))) == 1, where


def test_every_commit_has_a_name() -> None:
    """A transaction without a failpoint behind it would be one at which nobody has tried to die."""
    found = 0
    for where, name, call in calls():
        if name.startswith(("self.", "store.")) and name.rpartition(".")[2] in COMMITS:
            found += 1
            given = call.args[0]
            handed_on = isinstance(given, ast.Name | ast.Attribute) and not list(named(given))
            assert handed_on or len(list(named(given))) == 1, where
    assert found > 10


def test_the_store_is_committed_by_its_transactions_alone() -> None:
    """So there is one place behind all commits, and `reached` stands there."""
    texts = {path: (ROOT / path).read_text() for path, _ in trees()}
    committing = {path for path, text in texts.items() if '"COMMIT"' in text or "sqlite3.connect" in text}
    assert committing == {"core/store.py"}


@pytest.mark.parametrize("point", Failpoint)
def test_unset_it_does_nothing(point: Failpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it where another point is named."""
    monkeypatch.delenv("FAILPOINT", raising=False)
    reached(point)
    monkeypatch.setenv("FAILPOINT", "another")
    reached(point)


def run(code: str, point: str) -> "subprocess.CompletedProcess[str]":
    """Run a piece of Python with a failpoint named in its environment."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={"FAILPOINT": point},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_where_it_is_asked_for_nothing_runs_any_more() -> None:
    """No handler and no `finally`, as after SIGKILL, and in whatever thread."""
    code = """
import atexit, threading
from core.failpoints import Failpoint, reached
atexit.register(print, "handler")
def work():
    try:
        reached(Failpoint.COMPOSE_UP)
    finally:
        print("finally")
threading.Thread(target=work).start()
threading.Event().wait(20)
print("survived")
"""
    died = run(code, "compose_up")
    assert (died.returncode, died.stdout, died.stderr) == (137, "", "")


STORE = """
from pathlib import Path
from core.failpoints import Failpoint
from core.store import Store
store = Store(Path({path!r}))
with store.transaction(Failpoint.OPERATION_BEGUN):
    store.change(Failpoint.SERVER_WRITTEN, "INSERT INTO orphan_instances VALUES ('inner', 'now')")
print("inner one's name does not count")
store.change(Failpoint.ROW_REMOVED, "INSERT INTO orphan_instances VALUES ('later', 'now')")
print([row[0] for row in store.rows("SELECT server_id FROM orphan_instances ORDER BY 1")])
"""


def test_it_stands_behind_the_commit(tmp_path: Path) -> None:
    """What was committed is there; the outermost transaction's name counts."""
    code = STORE.format(path=str(tmp_path / "agent.db"))
    assert run(code, "row_removed").returncode == 137
    store = Store(tmp_path / "agent.db")
    assert len(store.rows("SELECT * FROM orphan_instances")) == 2
    store.close()


def test_a_nested_transaction_is_no_commit(tmp_path: Path) -> None:
    """Its name does nothing inside another."""
    done = run(STORE.format(path=str(tmp_path / "agent.db")), "server_written")
    assert done.stdout.endswith("['inner', 'later']\n")


def test_what_fails_is_not_committed(tmp_path: Path) -> None:
    """So its failpoint is not reached."""
    code = f"""
from pathlib import Path
from core.failpoints import Failpoint
from core.store import Store
store = Store(Path({str(tmp_path / "agent.db")!r}))
try:
    with store.transaction(Failpoint.OPERATION_BEGUN):
        raise KeyError
except KeyError:
    print("alive")
"""
    assert run(code, "operation_begun").stdout == "alive\n"
