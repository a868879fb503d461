"""The pages for people say nothing that is not so: settings, files, options, programs and routes."""

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.routes import ROUTES
from core.models import TunnelReason
from core.settings import Settings
from edge.settings import EdgeSettings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SCRIPTS = ("deploy-host-agent.sh", "run-tests.sh")

_SETTING = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_FILE = re.compile(r"(?<![\w/.-])(?:\./)?((?:[\w-]+/)*[\w-]+(?:\.[\w-]+)*\.(?:md|sh|py|yaml))\b")
_MODULE = re.compile(r"python -m ([a-z]+(?:\.[a-z]+)*)")
_ROUTE = re.compile(r"`(GET|POST|DELETE) (/[\w/<>-]*)`")
_CURL = re.compile(r"http://localhost:8082(/[\w/-]+)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _id(page: Path) -> str:
    return str(page.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PAGES, ids=_id)


def _known_settings() -> set[str]:
    """Every name that an operator can set: the agent's, the edge's, and those of the compose file and the scripts."""
    models = {name.upper() for model in (Settings, EdgeSettings) for name in model.model_fields}
    deployment = (ROOT / "docker-compose.yml", ROOT / ".env.example")
    return models | {name for file in deployment for name in _SETTING.findall(file.read_text())}


def _anchor(heading: str) -> str:
    """Return what a heading is called in a link: lower case, hyphens for blanks, nothing but words."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@each_page
def test_a_setting_that_is_named_exists(page: Path) -> None:
    """A reader who writes a setting as it stands here sets something."""
    assert set(_SETTING.findall(page.read_text())) - _known_settings() == set()


@each_page
def test_a_link_leads_somewhere(page: Path) -> None:
    """Each relative link has its file, and its heading in it."""
    for link in _LINK.findall(page.read_text()):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in {_anchor(heading) for heading in _HEADING.findall(target.read_text())}, link


@each_page
def test_a_file_that_is_named_exists(page: Path) -> None:
    """Each page, script and program that is named is there, seen from the root or from the page."""
    for name in _FILE.findall(page.read_text()):
        assert (ROOT / name).exists() or (page.parent / name).exists(), name


@each_page
def test_a_program_that_is_named_can_be_run(page: Path) -> None:
    """Each `python -m` names a module of ours."""
    for name in _MODULE.findall(page.read_text()):
        spec = importlib.util.find_spec(name)
        assert spec is not None, name
        assert spec.origin is not None
        assert Path(spec.origin).is_relative_to(ROOT)


def _served(method: str | None, path: str) -> bool:
    """Whether a route is there; a page may write an id in place of `<server_id>`."""
    return any(
        re.fullmatch(re.sub(r"<\w+>", r"[\\w<>-]+", route.path), path) and method in (None, route.method)
        for route in ROUTES
    )


@each_page
def test_a_route_that_is_named_is_served(page: Path) -> None:
    """Each call that a page shows has its row in the table of routes."""
    text = page.read_text()
    calls = [*_ROUTE.findall(text), *((None, path) for path in _CURL.findall(text))]
    assert [call for call in calls if not _served(*call)] == []


def _commands(script: str) -> Iterator[list[str]]:
    """Yield the words after each mention of a script: its options and arguments."""
    mention = re.compile(rf"\./{re.escape(script)}((?: +(?:--[a-z-]+|[a-z][a-z0-9-]+)(?=[\s`]))*)")
    for page in PAGES:
        text = page.read_text()
        code = re.findall(r"`(\./[^`\n]+`)", text) + re.findall(r"^\$ (.+\n)", text, re.MULTILINE)
        yield from (found.split() for line in code for found in mention.findall(line))


def _help(*command: str) -> str:
    result = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_option_that_is_shown_is_known(script: str) -> None:
    """Each word that a page puts behind a script stands in that script's help."""
    known = set(re.findall(r"[\w-]+", _help(f"./{script}")))
    shown = {word for words in _commands(script) for word in words}
    assert "--install" in shown
    assert shown - known == set()


def test_the_option_of_the_probe_is_known() -> None:
    """The probe has the option that the page on networking names."""
    assert "`--within`" in (ROOT / "README-NETWORKING.md").read_text()
    assert "--within" in _help(sys.executable, "-m", "satisfactory.probe")


def test_every_setting_of_the_edge_that_has_no_default_is_shown() -> None:
    """Who follows the page on an own VPS has set all that the edge demands."""
    text = (ROOT / "docs" / "own-vps.md").read_text()
    demanded = {"EDGE_PUBLIC_HOST", "EDGE_REMOTE_HOST", "RATHOLE_TOKEN"}
    assert demanded <= {name.upper() for name in EdgeSettings.model_fields}
    assert demanded <= set(re.findall(r"^([A-Z_]+)=", text, re.MULTILINE))


def test_the_table_of_what_goes_wrong_knows_every_reason_of_a_tunnel_and_no_other() -> None:
    """Whoever looks for the code that a status shows finds its row."""
    text = (ROOT / "README-NETWORKING.md").read_text()
    cells = re.findall(r"^\| (`[a-z]+(?:_[a-z]+)*`[^|]*)\|", text, re.MULTILINE)
    codes = {code for cell in cells for code in re.findall(r"`([a-z]+(?:_[a-z]+)*)`", cell)}
    reasons = {reason.value for reason in TunnelReason}
    assert codes - {"stopped_externally"} == reasons


def test_every_decision_is_listed() -> None:
    """The list of decisions links each of them."""
    folder = ROOT / "docs" / "adr"
    linked = set(_LINK.findall((folder / "README.md").read_text()))
    assert {page.name for page in folder.glob("0*.md")} == linked
