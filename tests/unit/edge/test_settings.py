"""The edge's settings: what is accepted, and how faults are named."""

import socket
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.settings import SettingsFault
from edge.settings import load_settings


def test_given_values_are_taken(environ: dict[str, str]) -> None:
    """Each variable ends in its field, typed."""
    settings = load_settings(environ | {"EDGE_API_PORT": "7100"})
    assert settings.edge_api_port == 7100
    assert settings.edge_ports == range(30000, 30010)
    assert settings.edge_control_ports == range(20000, 20003)
    assert settings.edge_public_host == "play.example.org"
    assert settings.rathole_binary == Path(environ["RATHOLE_BINARY"])


def test_defaults(environ: dict[str, str]) -> None:
    """What is not given, or given empty, has the documented default."""
    for name in ("EDGE_PORTS", "EDGE_CONTROL_PORTS", "EDGE_DATA_DIR", "EDGE_REMOTE_HOST"):
        del environ[name]
    settings = load_settings(environ | {"EDGE_API_PORT": " "})
    assert settings.edge_api_port == 7001
    assert settings.edge_ports == range(30000, 30020)
    assert settings.edge_control_ports == range(20000, 20020)
    assert settings.edge_data_dir == Path("/data")
    assert settings.edge_remote_host == socket.gethostname()


def test_every_fault_is_named_at_once(environ: dict[str, str]) -> None:
    """An operator sees all that is wrong in one go, a line each."""
    del environ["EDGE_PUBLIC_HOST"]
    faulty = environ | {"EDGE_API_PORT": "70000", "EDGE_PORTS": "5-1", "RATHOLE_TOKEN": "short"}
    with pytest.raises(SettingsFault) as caught:
        load_settings(faulty)
    lines = str(caught.value).splitlines()
    assert {line.partition(" ")[0].rstrip(":") for line in lines} == {
        "EDGE_PUBLIC_HOST",
        "EDGE_API_PORT",
        "EDGE_PORTS",
        "RATHOLE_TOKEN",
    }


@pytest.mark.parametrize("token", ["", "fifteen-letters", "change-me-change-me-change-me"])
def test_a_token_that_guards_nothing_is_refused_and_not_shown(environ: dict[str, str], token: str) -> None:
    """Missing, short and placeholder tokens end the start, and the sentence does not repeat them."""
    with pytest.raises(SettingsFault, match="RATHOLE_TOKEN") as caught:
        load_settings(environ | {"RATHOLE_TOKEN": token})
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["30000", "30010-30000", "80-90", "65530-65536", "a-b", "-", "30000-30009,31000", "030000-030009"]
)
def test_wrong_ranges_are_refused(environ: dict[str, str], text: str) -> None:
    """A range has two ports in order, none below 1024 or above 65535."""
    with pytest.raises(SettingsFault, match="EDGE_PORTS: must be FIRST-LAST"):
        load_settings(environ | {"EDGE_PORTS": text})


def test_a_range_of_one_port(environ: dict[str, str]) -> None:
    """Both ends are included, so they may be the same."""
    assert list(load_settings(environ | {"EDGE_CONTROL_PORTS": "20005-20005"}).edge_control_ports) == [20005]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("EDGE_CONTROL_PORTS", "30009-30020", "no port in common"),
        ("EDGE_API_PORT", "30001", "EDGE_API_PORT must be neither"),
        ("EDGE_API_PORT", "20001", "EDGE_API_PORT must be neither"),
    ],
)
def test_overlaps_are_refused(environ: dict[str, str], name: str, value: str, sentence: str) -> None:
    """No port has two uses."""
    with pytest.raises(SettingsFault, match=sentence):
        load_settings(environ | {name: value})


@pytest.mark.parametrize("host", ["http://x", "host:1", "a b", "-x", 'x"y'])
def test_hosts_are_hosts(environ: dict[str, str], host: str) -> None:
    """A URL, a port or a quote is no host."""
    with pytest.raises(SettingsFault, match="EDGE_PUBLIC_HOST"):
        load_settings(environ | {"EDGE_PUBLIC_HOST": host})


def test_a_missing_rathole_is_named(environ: dict[str, str]) -> None:
    """A program that is not there is found out before anything is served."""
    with pytest.raises(SettingsFault, match="there is no program /no/rathole"):
        load_settings(environ | {"RATHOLE_BINARY": "/no/rathole"})


def test_rathole_is_looked_for_in_path(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without RATHOLE_BINARY it is the `rathole` that a shell would run."""
    binary = Path(environ.pop("RATHOLE_BINARY"))
    monkeypatch.setenv("PATH", str(binary.parent))
    assert load_settings(environ).rathole_binary == binary


def test_settings_cannot_be_changed_and_hide_the_token(environ: dict[str, str]) -> None:
    """They are frozen, and their text shows no secret."""
    settings = load_settings(environ)
    with pytest.raises(ValidationError):
        settings.edge_api_port = 1  # type: ignore[misc]  # what the test is about
    assert environ["RATHOLE_TOKEN"] not in repr(settings)
