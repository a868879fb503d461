"""The client.toml of a server: what is kept, what is rewritten, what is refused."""

import contextlib
import tomllib

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidRequest
from core.models import Ports
from rathole.config import (
    MAX_BYTES,
    ClientConfig,
    ConfigRefused,
    RemoteHost,
    Service,
    generate_rathole_client_config,
    own_client_config,
    parse_client_config,
    render_client_config,
)
from tests.fakes.manager import CONFIG

ID = "srv_Ab_1a2b3c4d"
PORTS = Ports(game=40000, beacon=40001)
KEY = "q2WVnrgMzl0ibIqFHOx2PvFOBo0xEDSYpvHUNZkF9kk="


def remote(override: str = "", *, resolves: bool = True, replaced: list[str] | None = None) -> RemoteHost:
    """Return a rule for the host of `remote_addr`."""
    told = [] if replaced is None else replaced
    return RemoteHost(override, "vps.example", lambda _: resolves, told.append)


def parse(text: str, host: RemoteHost | None = None) -> ClientConfig:
    """Parse for the server of these tests."""
    return parse_client_config(text, server_id=ID, ports=PORTS, remote_host=host or remote())


def config_with(service: str = "", client: str = "", local_addr: str = f"{ID}:40000") -> str:
    """Return a client.toml with lines of a test's own."""
    return f"""
    [client]
    remote_addr = "vps.example:20001"
    default_token = "secret-token"
    {client}
    [client.services.srv_game]
    local_addr = "{local_addr}"
    {service}
    """


def test_the_deployed_managers_file_is_kept_but_for_its_addresses() -> None:
    """Names, types, tokens and times are the manager's; the addresses become ours."""
    text = CONFIG.format(rathole_port=20004, id=ID, host="127.0.0.1", game=40000, query=40001)

    config = parse(text)

    assert config.remote_addr == "vps.example:20004"
    assert {name: (service.type, service.local_addr) for name, service in config.services.items()} == {
        f"{ID}_game_tcp": ("tcp", f"{ID}:40000"),
        f"{ID}_game_udp": ("udp", f"{ID}:40000"),
        f"{ID}_query": ("tcp", f"{ID}:40001"),
    }
    assert config.services[f"{ID}_game_tcp"].token == "t0ken"
    assert config.services[f"{ID}_game_tcp"].nodelay is True
    assert config.transport is not None
    assert config.transport.tcp is not None
    assert (config.transport.tcp.keepalive_secs, config.transport.tcp.keepalive_interval) == (20, 8)


@pytest.mark.parametrize(
    ("requested", "spoken"),
    [
        (Ports(30012, 30013), Ports(30012, 30013)),
        (Ports(30012, 30013), PORTS),
        (Ports(40001, 40002), Ports(40001, 40002)),
    ],
    ids=["as requested", "as granted", "requested numbers that were granted for something else"],
)
def test_a_file_may_speak_of_the_requested_ports(requested: Ports, spoken: Ports) -> None:
    """The deployed manager grants other ports than were asked for, and writes the ones asked for all the same."""
    text = CONFIG.format(rathole_port=20004, id=ID, host=ID, game=spoken.game, query=spoken.beacon)

    config = parse_client_config(text, server_id=ID, ports=PORTS, synonyms=[requested], remote_host=remote())

    assert {name: service.local_addr for name, service in config.services.items()} == {
        f"{ID}_game_tcp": f"{ID}:40000",
        f"{ID}_game_udp": f"{ID}:40000",
        f"{ID}_query": f"{ID}:40001",
    }


def test_a_file_that_mixes_requested_and_granted_ports_is_refused() -> None:
    """Nobody knows what it means, and a wrong guess is a tunnel to the wrong port."""
    text = CONFIG.format(rathole_port=20004, id=ID, host=ID, game=40000, query=30013)

    with pytest.raises(ConfigRefused, match="30013"):
        parse_client_config(text, server_id=ID, ports=PORTS, synonyms=[Ports(30012, 30013)], remote_host=remote())


@pytest.mark.parametrize(
    "host", [ID, ID.lower(), ID.upper(), "127.0.0.1", "0.0.0.0", "[::1]", "localhost", "172.18.0.7", "192.168.1.5"]
)
def test_an_address_that_means_the_server_is_rewritten(host: str) -> None:
    """Old files name the loopback, the host or a container's address: the port says what is meant."""
    config = parse(config_with(local_addr=f"{host}:40001"))

    assert config.services["srv_game"].local_addr == f"{ID}:40001"


@pytest.mark.parametrize(
    "address",
    [
        f"{ID}:8082",
        "127.0.0.1:8082",
        f"{ID}:None",
        f"{ID}",
        f"{ID}:",
        ":40000",
        "srv_other_00000001:40000",
        "host-agent:40000",
        "host.docker.internal:40000",
        f"{ID}.evil.example:40000",
        f"{ID}:40000 ",
        f"{ID}:4\u0660000",
        f"{ID}:040000",
        "/var/run/docker.sock",
        "unix:///var/run/docker.sock:40000",
    ],
)
def test_an_address_that_leads_elsewhere_is_refused(address: str) -> None:
    """The VPS could reach the agent's own API, another server or another machine through it."""
    with pytest.raises(ConfigRefused) as refused:
        parse(config_with(local_addr=address))

    assert refused.value.code == "config_refused"
    assert isinstance(refused.value, InvalidRequest)
    assert "srv_game" in refused.value.message


@pytest.mark.parametrize(
    ("given_host", "resolves", "chosen"),
    [
        ("0.0.0.0", True, "vps.example"),
        ("127.0.0.1", True, "vps.example"),
        ("[::1]", True, "vps.example"),
        ("localhost", True, "vps.example"),
        ("rathole-instance-manager", False, "vps.example"),
        ("other.example", True, "other.example"),
        ("203.0.113.4", False, "203.0.113.4"),
    ],
)
def test_a_host_that_cannot_be_reached_becomes_the_managers(given_host: str, resolves: bool, chosen: str) -> None:  # noqa: FBT001
    """Configs in the field name a host of the manager's own network, or none; the replaced one is told."""
    replaced: list[str] = []
    text = config_with().replace("vps.example:20001", f"{given_host}:20001")

    config = parse(text, remote(resolves=resolves, replaced=replaced))

    assert config.remote_addr == f"{chosen}:20001"
    assert replaced == ([] if chosen == given_host else [given_host.strip("[]")])


def test_the_operators_host_wins() -> None:
    """RATHOLE_REMOTE_HOST replaces whatever the manager says; an IPv6 address gets its brackets."""
    assert parse(config_with(), remote("tunnel.example")).remote_addr == "tunnel.example:20001"
    assert parse(config_with(), remote("2001:db8::1")).remote_addr == "[2001:db8::1]:20001"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (config_with(client="hot = 1"), "client.hot"),
        (config_with(service="prefer_ipv6 = true"), "client.services.srv_game.prefer_ipv6"),
        (config_with(service='type = "http"'), "client.services.srv_game.type"),
        (config_with(service="nodelay = 1"), "client.services.srv_game.nodelay"),
        (config_with(service="retry_interval = 0"), "client.services.srv_game.retry_interval"),
        (config_with(client="retry_interval = 0"), "client.retry_interval"),
        (config_with(client="heartbeat_timeout = -1"), "client.heartbeat_timeout"),
        (config_with(client="heartbeat_timeout = true"), "client.heartbeat_timeout"),
        (config_with(client='transport.type = "tls"'), "client.transport.type"),
        (config_with(client='transport.type = "websocket"'), "client.transport.type"),
        (config_with(client='transport.type = "noise"'), "client.transport"),
        (config_with(client='transport.tcp.proxy = "socks5://10.0.0.1"'), "client.transport.tcp.proxy"),
        (config_with(client='transport.noise.remote_public_key = "c2hvcnQ="'), "remote_public_key"),
        (config_with(client='transport.noise.remote_public_key = "%"'), "remote_public_key"),
        (config_with(client='transport.noise.pattern = "Noise_XX"'), "pattern"),
        (config_with().replace('default_token = "secret-token"', ""), "no token"),
        (config_with().replace("srv_game", '"a}: rathole"'), "services"),
        (config_with().replace("vps.example:20001", "vps.example"), "remote_addr"),
        (config_with().replace("vps.example:20001", "vps.example:0"), "remote_addr"),
        (config_with().replace("vps.example:20001", "a b:1"), "remote_addr"),
        ("[client]\nremote_addr = 'a:1'\n[client.services]", "client.services"),
        ("[client]\nremote_addr = 'a:1'", "client.services"),
        ("[server]\nbind_addr = '0.0.0.0:1'", "client"),
        (config_with() + "\n[server]\nbind_addr = '0.0.0.0:1'", "server"),
        ("client = 1", "client"),
        ("", "client"),
        ("<html><body>502</body></html>", "not TOML"),
        ("a = " + "[" * 5000, "TOML"),
        ("a = " + "1" * 5000, "TOML"),
        ("a" * (MAX_BYTES + 1), "64 KiB"),
    ],
)
def test_what_the_schema_does_not_know_is_refused_by_name(text: str, named: str) -> None:
    """Else rathole would end with exit code 1, run wild, or do more than tunnel: the sentence names the key."""
    with pytest.raises(ConfigRefused) as refused:
        parse(text)

    assert named in refused.value.message
    assert "secret-token" not in refused.value.message


def test_more_services_than_a_server_can_have_are_refused() -> None:
    """Each costs connections and memory."""
    many = "".join(f"[client.services.s{n}]\nlocal_addr = '{ID}:40000'\n" for n in range(17))

    with pytest.raises(ConfigRefused, match="services"):
        parse("[client]\nremote_addr = 'a:1'\ndefault_token = 'x'\n" + many)


def test_a_refusal_never_repeats_a_token() -> None:
    """A token of the wrong type, or beside a fault, stays out of message and details."""
    for text in (config_with(service='token = ["hidden-token"]'), config_with(service='token = "hidden-token"\nx = 1')):
        with pytest.raises(ConfigRefused) as refused:
            parse(text)
        assert "hidden-token" not in f"{refused.value.message} {refused.value.details} {refused.value.__cause__}"


def test_tokens_stay_out_of_the_repr() -> None:
    """A configuration that lands in a traceback or a log shows no secret."""
    config = parse(config_with(service='token = "hidden-token"'))

    assert "hidden-token" not in repr(config)
    assert "secret-token" not in repr(config)


def test_noise_with_a_key_is_kept() -> None:
    """The edge uses it; the block goes through as it came."""
    text = config_with(client=f'transport.type = "noise"\ntransport.noise.remote_public_key = "{KEY}"')

    rendered = tomllib.loads(render_client_config(parse(text)))

    assert rendered["client"]["transport"] == {"type": "noise", "noise": {"remote_public_key": KEY}}


def test_a_transport_block_without_a_type_means_tcp() -> None:
    """Rathole refuses such a block, old managers write it: the rendered one has the type."""
    rendered = tomllib.loads(render_client_config(parse(config_with(client="transport.tcp.nodelay = true"))))

    assert rendered["client"]["transport"] == {"type": "tcp", "tcp": {"nodelay": True}}


def test_our_own_file_has_the_three_services_of_the_contract() -> None:
    """Where the manager has no client-config: game by UDP and TCP, beacon by TCP, never an address."""
    text = generate_rathole_client_config(ID, PORTS, "vps.example", 20001, "the token")

    assert tomllib.loads(text) == {
        "client": {
            "remote_addr": "vps.example:20001",
            "default_token": "the token",
            "heartbeat_timeout": 40,
            "retry_interval": 1,
            "services": {
                f"{ID}_game": {"type": "udp", "local_addr": f"{ID}:40000"},
                f"{ID}_game_tcp": {"type": "tcp", "local_addr": f"{ID}:40000"},
                f"{ID}_beacon": {"type": "tcp", "local_addr": f"{ID}:40001"},
            },
        }
    }


def test_our_own_file_passes_our_own_check() -> None:
    """What the agent renders it would also accept."""
    own = own_client_config(ID, PORTS, "vps.example", 20001, "the token")

    assert parse(render_client_config(own)) == own


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
SERVICES = st.dictionaries(
    st.from_regex(r"[A-Za-z0-9_.-]{1,40}", fullmatch=True),
    st.builds(
        Service,
        type=st.sampled_from(["tcp", "udp"]),
        local_addr=st.sampled_from([f"{ID}:40000", f"{ID}:40001"]),
        token=TEXT,
        nodelay=st.none() | st.booleans(),
        retry_interval=st.none() | st.integers(1, 3600),
    ),
    min_size=1,
    max_size=4,
)


@given(SERVICES, st.none() | TEXT, st.integers(0, 3600))
def test_what_is_rendered_reads_back_the_same(services: dict[str, Service], token: str | None, timeout: int) -> None:
    """Any token, quotes, newlines and control characters among it, survives the file."""
    config = ClientConfig(
        remote_addr="vps.example:20001", default_token=token, heartbeat_timeout=timeout, services=services
    )

    assert parse(render_client_config(config)) == config


VALUES = st.recursive(
    st.text(max_size=20) | st.integers() | st.floats(allow_nan=False) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=12,
)


@given(st.text(max_size=200) | st.dictionaries(st.sampled_from(["client", "server", "x"]), VALUES).map(tomli_w.dumps))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    """Whatever another machine sends is a configuration of this server or a ConfigRefused, never another error."""
    with contextlib.suppress(ConfigRefused):
        config = parse(text)
        assert all(service.local_addr.startswith(f"{ID}:") for service in config.services.values())
