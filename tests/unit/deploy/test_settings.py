"""How the deploy script makes, reads and changes the settings file."""

import stat
from pathlib import Path

import pytest

from tests.unit.deploy.shell import ROOT, at_terminal, bash

PARTS = ("say", "settings")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout with nothing but the example settings."""
    (tmp_path / ".env.example").write_text((ROOT / ".env.example").read_text())
    return tmp_path


def setting(folder: Path, name: str) -> str:
    """What the script reads for `name` in `.env`."""
    return bash(f"setting .env {name}", folder, parts=PARTS).stdout


def test_settings_are_made_with_a_random_key(folder: Path) -> None:
    """The first run leaves settings that can be used: a key of 64 hex digits, this host's name, mode 0600."""
    assert bash("make_settings", folder, parts=PARTS).returncode == 0
    key = setting(folder, "HOST_AGENT_API_KEY")
    assert len(key) == 64
    assert int(key, 16) > 0
    assert setting(folder, "NODE_ID")
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600


def test_the_key_is_not_said(folder: Path) -> None:
    """Making the settings prints no secret."""
    result = bash("make_settings", folder, parts=PARTS)
    assert setting(folder, "HOST_AGENT_API_KEY") not in result.stdout + result.stderr


def test_two_hosts_get_different_keys(folder: Path) -> None:
    """A key is made for each settings file."""
    keys = set()
    for _ in range(2):
        bash("make_settings", folder, parts=PARTS)
        keys.add(setting(folder, "HOST_AGENT_API_KEY"))
        (folder / ".env").unlink()
    assert len(keys) == 2


def test_settings_that_are_there_stay_as_they_are(folder: Path) -> None:
    """A second run never overwrites what an operator has set."""
    (folder / ".env").write_text("HOST_AGENT_API_KEY=mine\n")
    bash("make_settings", folder, parts=PARTS)
    assert (folder / ".env").read_text() == "HOST_AGENT_API_KEY=mine\n"


def test_placeholders_are_refused_by_name(folder: Path) -> None:
    """A settings file that was only copied ends the script with the names of what must be set."""
    (folder / ".env").write_text("HOST_AGENT_API_KEY=change-me-to-a-random-key\nRATHOLE_TOKEN=change-me\nNODE_ID=a\n")
    result = bash("refuse_placeholders .env; echo went on", folder, parts=PARTS)
    assert result.returncode == 1
    assert "HOST_AGENT_API_KEY, RATHOLE_TOKEN" in result.stderr
    assert "NODE_ID" not in result.stderr
    assert "went on" not in result.stdout


def test_the_example_holds_a_placeholder_that_is_refused(folder: Path) -> None:
    """The example itself cannot be deployed: its key is known to everybody."""
    assert bash("refuse_placeholders .env.example", folder, parts=PARTS).returncode == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A=1\nNODE_ID=x\nB=2\n", "A=1\nNODE_ID=new\nB=2\n"),
        ("#NODE_ID=\nB=2\n", "NODE_ID=new\nB=2\n"),
        ("A=1\n", "A=1\nNODE_ID=new\n"),
        ("A=1\nNODE_ID=x", "A=1\nNODE_ID=new\n"),
        ("NODE_ID=x\nNODE_ID=y\n", "NODE_ID=new\n"),
        ("MY_NODE_ID=x\n", "MY_NODE_ID=x\nNODE_ID=new\n"),
        ("", "NODE_ID=new\n"),
    ],
)
def test_a_setting_is_written_in_its_place(folder: Path, before: str, after: str) -> None:
    """What an operator wrote around a setting stays; a commented-out line is taken into use."""
    (folder / ".env").write_text(before)
    bash("set_setting .env NODE_ID new", folder, parts=PARTS)
    assert (folder / ".env").read_text() == after
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600


def test_values_survive_whatever_characters_they_hold(folder: Path) -> None:
    """Slashes, ampersands, backslashes and dollars are text."""
    value = r"a/b&c\d$HOME #e"
    (folder / ".env").write_text("X=1\n")
    bash(f"set_setting .env X '{value}'", folder, parts=PARTS)
    assert setting(folder, "X") == value


def test_the_last_of_two_lines_counts(folder: Path) -> None:
    """As Compose and python-dotenv read it."""
    (folder / ".env").write_text("X=1\nX=2\n#X=3\n")
    assert setting(folder, "X") == "2"


def test_without_a_terminal_the_orchestrator_is_not_asked_for(folder: Path) -> None:
    """A script's run goes on, and says where the address would be set."""
    result = bash("make_settings", folder, parts=PARTS)
    assert result.returncode == 0
    assert "ORCHESTRATOR_HOST" in result.stdout
    assert setting(folder, "ORCHESTRATOR_HOST") == ""


def test_at_a_terminal_the_orchestrator_is_asked_for_and_trusted(folder: Path) -> None:
    """The orchestrator in the field sends no key: its address is let in without one."""
    answers = at_terminal("make_settings", folder, typed="192.0.2.77\n")
    assert "Address or name of the orchestrator" in answers
    assert setting(folder, "ORCHESTRATOR_HOST") == "192.0.2.77"
    assert setting(folder, "HOST_AGENT_TRUSTED_NETWORKS") == "192.0.2.77/32"


def test_no_orchestrator_is_an_answer(folder: Path) -> None:
    """An empty line: the agent runs alone and nobody is let in without a key."""
    at_terminal("make_settings", folder, typed="\n")
    assert setting(folder, "ORCHESTRATOR_HOST") == ""
    assert setting(folder, "HOST_AGENT_TRUSTED_NETWORKS") == ""


def test_a_name_that_does_not_resolve_is_kept_and_said(folder: Path) -> None:
    """The orchestrator may not be there yet; who is trusted is then the operator's to say."""
    said = at_terminal("make_settings", folder, typed="orchestrator.invalid\n")
    assert setting(folder, "ORCHESTRATOR_HOST") == "orchestrator.invalid"
    assert "HOST_AGENT_TRUSTED_NETWORKS" in said
