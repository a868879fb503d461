"""The edge's client.toml through the agent's check and a real rathole: encrypted, or told why not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core import proc
from core.models import Ports, TunnelReason, TunnelState
from edge.configs import client_config, server_config
from edge.instances import Instance
from edge.keys import NoiseKeys, load_or_make_keys
from rathole.config import RemoteHost, parse_client_config, render_client_config
from tests.integration.test_rathole_tunnel import ENV, Host, free_port
from tests.waiting import wait_until

ID = "srv_noise_0000000a"


@pytest.fixture
def host(tmp_path: Path, rathole_binary: str) -> Iterator[Host]:
    """Run a supervisor."""
    host = Host(tmp_path / "rathole", rathole_binary)
    host.start()
    yield host
    host.close()


@pytest.fixture
def keys(tmp_path: Path, rathole_binary: str) -> NoiseKeys:
    """Make the edge's keys."""
    return load_or_make_keys(tmp_path / "keys.json", Path(rathole_binary))


@pytest.fixture
def instance(tmp_path: Path, rathole_binary: str, keys: NoiseKeys) -> Iterator[Instance]:
    """Run an instance as the edge would."""
    instance = Instance(
        server_id=ID, game_port=free_port(), query_port=free_port(), control_port=free_port(), token="0123abcd" * 8
    )
    (tmp_path / "server.toml").write_text(server_config(instance, keys))
    argv = [rathole_binary, "--server", str(tmp_path / "server.toml")]
    with proc.spawn(argv, env=ENV, output=tmp_path / "server.log") as server:
        yield instance
        server.kill()


def run(host: Host, instance: Instance, keys: NoiseKeys) -> None:
    """Run the client whose configuration went through the agent's check."""
    text = client_config(instance, keys, remote_host="127.0.0.1", local_host=ID)
    remote = RemoteHost(override="", manager_host="127.0.0.1", resolves=lambda _: True)
    ports = Ports(instance.game_port, instance.query_port)
    checked = parse_client_config(text, server_id=ID, ports=ports, remote_host=remote)
    folder = host.directory / ID
    folder.mkdir(exist_ok=True)
    (folder / "client.toml").write_text(render_client_config(checked))
    host.supervisor.run(ID)


def test_an_encrypted_tunnel_comes_up(host: Host, instance: Instance, keys: NoiseKeys) -> None:
    """All three services of the edge are connected."""
    run(host, instance, keys)
    host.until(TunnelState.UP, ID)

    assert len(host.supervisor.status(ID).services) == 3


def test_a_wrong_key_is_told_apart_from_a_vps_that_is_away(
    host: Host, instance: Instance, keys: NoiseKeys, tmp_path: Path
) -> None:
    """The other end answers, and not as it should: the sentence says so."""
    other = load_or_make_keys(tmp_path / "other.json", Path(host.supervisor._tools.binary))
    assert other != keys

    run(host, instance, other)

    wait_until(
        lambda: "another key" in host.supervisor.status(ID).message,
        within=10,
        saying=f"the key is named, not {host.supervisor.status(ID)}",
    )
    assert host.supervisor.status(ID).reason is TunnelReason.VPS_UNREACHABLE
