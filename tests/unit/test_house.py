"""The house's measures: small files, small functions, sealed dependencies."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("core", "compose", "rathole", "satisfactory", "provisioning", "orchestrator", "api", "edge", "standin")
SCRIPTS = ("scripts", "gunicorn.conf.py")
MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 60
MEDIAN_OF_A_FUNCTION = 10
LOCKS = ("requirements.txt", "requirements-dev.txt")


def sources() -> list[Path]:
    """Return every Python file that is not a test."""
    roots = [ROOT / name for name in ("agent.py", *ROOMS, *SCRIPTS)]
    return [path for root in roots for path in ([root] if root.is_file() else sorted(root.rglob("*.py")))]


def lengths_of_functions() -> Iterator[tuple[str, int]]:
    """Return name and length in lines of every function."""
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", length


def lines_of(path: Path) -> int:
    """Return how many lines a file has."""
    return len(path.read_text().splitlines())


def test_no_file_is_too_long() -> None:
    """A file of more than 300 lines holds more than one thing."""
    assert {str(path): lines_of(path) for path in sources() if lines_of(path) > MOST_LINES} == {}


def test_no_function_is_too_long() -> None:
    """60 lines at most, and half of them have 10 at most."""
    lengths = dict(lengths_of_functions())
    assert {name: length for name, length in lengths.items() if length > MOST_LINES_OF_A_FUNCTION} == {}
    assert median(lengths.values()) <= MEDIAN_OF_A_FUNCTION


def test_every_room_is_typed_and_layered() -> None:
    """A room that pyproject.toml does not name would be checked by nobody."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "scripts"}
    assert rooms == set(ROOMS)
    assert rooms <= set(tools["mypy"]["packages"])
    assert rooms <= set(tools["importlinter"]["root_packages"])


def test_there_are_at_least_as_many_lines_of_tests_as_of_code() -> None:
    """What is not shown does not hold."""
    assert sum(map(lines_of, (ROOT / "tests").rglob("*.py"))) >= sum(map(lines_of, sources()))


@pytest.mark.parametrize("name", LOCKS)
def test_every_dependency_is_pinned_and_sealed(name: str) -> None:
    """An exact version and a hash each, so that nobody gets another file than we tested."""
    entries = re.split(r"\n(?=[a-zA-Z])", re.sub(r"^#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE))
    assert [
        e.splitlines()[0] for e in entries if not re.match(r"[\w.\[\]-]+==\S+", e) or "--hash=sha256:" not in e
    ] == []


def test_what_the_image_gets_is_part_of_what_is_tested() -> None:
    """The development lock holds the very versions of the image's."""
    pins = [set(re.findall(r"^([\w.\[\]-]+==[^\s;]+)", (ROOT / name).read_text(), re.MULTILINE)) for name in LOCKS]
    assert pins[0] - pins[1] == set()
