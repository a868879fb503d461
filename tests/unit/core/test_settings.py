"""Settings: what an operator can set, what is refused, and that all of it is documented."""

import re
import socket
from pathlib import Path

import pytest
from pydantic import ValidationError

from core.settings import PLACEHOLDER, Settings, SettingsFault, load_settings

PEM = Path(__file__)
"""A file that is there; what is in it is the server's business."""
ROOT = Path(__file__).parents[3]
KEY = "marked-key-0123456789"
# The demo's own: it writes them into settings of its own, or leaves them be.
DEMO_ONLY = {"SATIS_NAME_SUFFIX", "SATIS_ENV_FILE", "EDGE_PORTS", "EDGE_CONTROL_PORTS"}


def load(**values: str) -> Settings:
    """Load settings that are complete but for these."""
    return load_settings({"HOST_AGENT_API_KEY": KEY, "NODE_ID": "node-a", **values})


def fault(**values: str) -> str:
    """Return what is said of settings that are refused."""
    with pytest.raises(SettingsFault) as failed:
        load(**values)
    return str(failed.value)


def documented() -> dict[str, str]:
    """Return name and shown value of each setting in the example, commented out or not."""
    text = (ROOT / ".env.example").read_text()
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", text, re.MULTILINE))


def read_by_compose() -> set[str]:
    """Return the variables that docker-compose.yml interpolates."""
    return set(re.findall(r"\$\{?([A-Z][A-Z0-9_]*)", (ROOT / "docker-compose.yml").read_text()))


def read_by_the_agent() -> set[str]:
    """Return the variables that the agent itself reads."""
    return {name.upper() for name in Settings.model_fields}


def test_every_setting_is_documented() -> None:
    """The example names each one that the agent or its compose file reads, and none that nobody does."""
    assert set(documented()) == read_by_the_agent() | (read_by_compose() - DEMO_ONLY)
    assert read_by_compose() >= DEMO_ONLY


def test_each_documented_setting_is_explained() -> None:
    """A comment stands over each setting, or over the block that it is in."""
    for block in (ROOT / ".env.example").read_text().split("\n\n"):
        if re.search(r"^#?[A-Z][A-Z0-9_]*=", block, re.MULTILINE):
            assert re.match(r"# \S", block), f"without a comment: {block}"


def test_the_documented_defaults_are_the_real_ones() -> None:
    """A line that is commented out and holds a value shows the default."""
    lines = re.findall(r"^#([A-Z][A-Z0-9_]*)=(.+)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    derived = {"PUBLISH_PORTS", *(read_by_compose() - read_by_the_agent())}
    shown = {name: value for name, value in lines if name not in derived}
    assert load(**shown) == load()
    assert len(shown) > 10


def test_a_key_is_all_that_is_needed() -> None:
    """Every other setting has a default; the node's name is the machine's."""
    settings = load_settings({"HOST_AGENT_API_KEY": KEY})
    assert settings.node_id == socket.gethostname()
    assert settings.host_agent_port == 8082
    assert settings.orchestrator_url == "http://satisfactory-orchestrator:8080"
    assert settings.manager_url is None


def test_the_environment_is_the_default_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument it is this process's environment that counts."""
    monkeypatch.setenv("HOST_AGENT_API_KEY", KEY)
    monkeypatch.setenv("MAX_SERVERS", "3")
    assert load_settings().max_servers == 3


def test_every_fault_is_named_at_once() -> None:
    """An operator mends all in one go: missing, misspelled, out of range and contradicting settings in one text."""
    with pytest.raises(SettingsFault) as failed:
        load_settings(
            {
                "NODE_ID": "has space",
                "HOST_AGENT_PORT": "eighty",
                "MAX_SERVERS": "0",
                "PORT_POLICY": "sometimes",
                "SATIS_DATA_DIR": "data",
                "HOST_AGENT_TRUSTED_NETWORKS": "192.0.2.7/32, nonsense",
                "HOST_AGENT_TLS_CERT": str(PEM),
                "RATHOLE_MANAGER_CA": "/nowhere.pem",
                "ORCHESTRATOR_HOST": "http://orchestrator:8080",
            }
        )
    lines = str(failed.value).splitlines()
    names = ["NODE_ID", "MAX_SERVERS", "SATIS_DATA_DIR", "HOST_AGENT_PORT", "HOST_AGENT_API_KEY"]
    names += ["HOST_AGENT_TRUSTED_NETWORKS", "PORT_POLICY", "HOST_AGENT_TLS_KEY"]
    names += ["RATHOLE_MANAGER_CA", "ORCHESTRATOR_HOST"]
    for name in names:
        assert any(line.startswith(name) for line in lines), name
    assert all(line.endswith(".") for line in lines)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOST_AGENT_PORT", "0"),
        ("HOST_AGENT_PORT", "65536"),
        ("HOST_AGENT_PORT", "8082.5"),
        ("MAX_SERVERS", "-1"),
        ("MAX_SERVERS", "many"),
        ("HEARTBEAT_INTERVAL", "0"),
        ("HEARTBEAT_INTERVAL", "-5"),
        ("HEARTBEAT_INTERVAL", "inf"),
        ("HEARTBEAT_TIMEOUT", "nan"),
        ("MAX_HEARTBEAT_FAILURES", "0"),
        ("USE_HTTPS_RATHOLE", "perhaps"),
        ("RATHOLE_INSTANCE_MANAGER_PREFIX", "manager"),
        ("RATHOLE_INSTANCE_MANAGER_PREFIX", "/manager/"),
        ("RATHOLE_INSTANCE_MANAGER_PREFIX", "/a?b"),
        ("HOST_AGENT_TRUSTED_NETWORKS", "10.0.0.1/8"),
        ("HOST_AGENT_TRUSTED_NETWORKS", "everybody"),
        ("HOST_AGENT_TLS_KEY", str(PEM)),
        ("HOST_AGENT_TLS_KEY", "/nowhere.pem"),
        ("HOST_AGENT_TLS_CERT", "/nowhere.pem"),
        ("RATHOLE_MANAGER_CA", "/nowhere.pem"),
        ("ORCHESTRATOR_HOST", "http://orchestrator"),
        ("ORCHESTRATOR_HOST", "orchestrator:8080"),
        ("RATHOLE_INSTANCE_MANAGER_HOST", "vps.example/manager"),
        ("RATHOLE_REMOTE_HOST", "."),
        ("RATHOLE_PUBLIC_HOST", "two words"),
        ("ADVERTISE_ADDRESS", "[::1"),
        ("SATIS_DATA_DIR", "./data"),
        ("NODE_ID", "../x"),
        ("NODE_ID", "a" * 64),
        ("RATHOLE_TOKEN", "change-me"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(name: str, value: str) -> None:
    """The sentence begins with the setting's name and is the only one."""
    said = fault(**{name: value})
    assert said.startswith(f"{name}: ")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("key", ["", "   ", PLACEHOLDER + "-to-a-random-key", "fifteen-letters"])
def test_without_a_usable_key_there_are_no_settings(key: str) -> None:
    """Unset, blank, the placeholder and a short one are refused; sixteen characters are enough."""
    assert fault(HOST_AGENT_API_KEY=key).startswith("HOST_AGENT_API_KEY")
    assert load(HOST_AGENT_API_KEY="sixteen-letters!").host_agent_api_key.get_secret_value() == "sixteen-letters!"


@pytest.mark.parametrize("value", ["marked", "change-me-marked"])
def test_no_fault_shows_a_secret(value: str) -> None:
    """What is wrong with a key is said without the key."""
    assert "marked" not in fault(HOST_AGENT_API_KEY=value)


def test_settings_show_no_secret() -> None:
    """A log line with the settings in it is harmless."""
    settings = load(RATHOLE_TOKEN="marked-token", ACCESS_TOKEN="marked-access")
    assert "marked" not in repr(settings)
    assert "marked" not in str(settings)
    assert "marked" not in settings.model_dump_json()


def test_settings_do_not_change() -> None:
    """They are read once."""
    with pytest.raises(ValidationError, match="frozen"):
        load().max_servers = 3  # type: ignore[misc]


def test_empty_means_not_set_and_no_orchestrator_means_none() -> None:
    """An empty line of .env is a default, but for the one where it says that there is none."""
    settings = load(MAX_SERVERS="", ORCHESTRATOR_HOST="", PUBLISH_PORTS="")
    assert settings.max_servers == 10
    assert settings.orchestrator_url is None


def test_trusted_networks_are_a_list() -> None:
    """Commas and spaces between, both kinds of addresses."""
    networks = load(HOST_AGENT_TRUSTED_NETWORKS="192.0.2.7/32, 2001:db8::/64,").host_agent_trusted_networks
    assert [str(network) for network in networks] == ["192.0.2.7/32", "2001:db8::/64"]


@pytest.mark.parametrize(
    ("values", "url"),
    [
        ({}, "http://vps:7001"),
        ({"RATHOLE_INSTANCE_MANAGER_PORT": "7002"}, "http://vps:7002"),
        ({"USE_HTTPS_RATHOLE": "true"}, "https://vps:443"),
        ({"USE_HTTPS_RATHOLE": "true", "RATHOLE_INSTANCE_MANAGER_PREFIX": "/manager"}, "https://vps:443/manager"),
    ],
)
def test_the_managers_address(values: dict[str, str], url: str) -> None:
    """Port 7001, or 443 with HTTPS, and the path before it all."""
    assert load(RATHOLE_INSTANCE_MANAGER_HOST="vps", **values).manager_url == url


@pytest.mark.parametrize(
    ("values", "published"),
    [
        ({}, True),
        ({"RATHOLE_INSTANCE_MANAGER_HOST": "vps"}, False),
        ({"RATHOLE_INSTANCE_MANAGER_HOST": "vps", "PUBLISH_PORTS": "true"}, True),
        ({"PUBLISH_PORTS": "false"}, False),
    ],
)
def test_ports_are_published_where_there_is_no_tunnel(values: dict[str, str], *, published: bool) -> None:
    """An operator's word goes before."""
    assert load(**values).ports_published is published


def test_names_of_configured_machines_are_reserved() -> None:
    """A game of such a name would catch the agent's calls, whatever the case."""
    reserved = load(ORCHESTRATOR_HOST="Orch", RATHOLE_INSTANCE_MANAGER_HOST="VPS", ADVERTISE_ADDRESS="").reserved_ids
    assert {"orch", "vps", socket.gethostname().lower()} <= reserved
    assert "" not in reserved
