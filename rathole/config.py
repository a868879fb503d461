"""The client.toml of one server as data: parsed and held against a schema, or our own; never copied as text.

The schema is that of rathole 0.5.0 (config.rs), less what could lead out of the tunnel's purpose:
transports other than tcp and noise, and proxies. rathole refuses unknown keys, and so do we.
"""

import base64
import binascii
import ipaddress
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import tomli_w
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from core.errors import InvalidRequest
from core.hosts import is_host_name
from core.models import Ports

MAX_BYTES = 64 * 1024
MAX_SERVICES = 16
_X25519_KEY_BYTES = 32
_QUOTE_LIMIT = 120


class ConfigRefused(InvalidRequest):
    """A client.toml that this agent does not run; the sentence names the key."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__("config_refused", f"The tunnel's configuration is refused: {message}", **details)


def _check_key(value: str) -> str:
    """Refuse what would end rathole at once: it does not check the length of a noise key (transport/noise.rs)."""
    try:
        key = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("is not base64") from None
    if len(key) != _X25519_KEY_BYTES:
        raise ValueError(f"is not a key of {_X25519_KEY_BYTES} bytes")
    return value


# rathole writes a service's name into its log as it is: a blank or a bracket in one could forge an event.
ServiceName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
NoiseKey = Annotated[str, AfterValidator(_check_key)]
NoisePattern = Annotated[
    str, StringConstraints(pattern=r"^Noise_[A-Z0-9]{2,4}_25519_(ChaChaPoly|AESGCM)_(BLAKE2[sb]|SHA256|SHA512)$")
]
# rathole takes 0 as "without a pause" and then tries a thousand times a second (tried).
RetrySeconds = Annotated[int, Field(ge=1, le=3600)]
Seconds = Annotated[int, Field(ge=0, le=3600)]


class _Table(BaseModel):
    """A table of the file: every key known, every type as rathole wants it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Service(_Table):
    """One port of the server: `[client.services.<name>]`."""

    type: Literal["tcp", "udp"] = "tcp"
    local_addr: str
    token: str | None = Field(default=None, repr=False)
    nodelay: bool | None = None
    retry_interval: RetrySeconds | None = None


class TcpOptions(_Table):
    """`[client.transport.tcp]`; times in seconds."""

    nodelay: bool | None = None
    keepalive_secs: Seconds | None = None
    keepalive_interval: Seconds | None = None


class NoiseOptions(_Table):
    """`[client.transport.noise]`; keys are x25519 in base64."""

    pattern: NoisePattern | None = None
    local_private_key: NoiseKey | None = Field(default=None, repr=False)
    remote_public_key: NoiseKey | None = None


class Transport(_Table):
    """`[client.transport]`; a block without a type means tcp, as in files of old managers."""

    type: Literal["tcp", "noise"] = "tcp"
    tcp: TcpOptions | None = None
    noise: NoiseOptions | None = None

    @model_validator(mode="after")
    def _check_noise(self) -> Self:
        if self.type == "noise" and self.noise is None:
            raise ValueError("has the type noise and no [client.transport.noise]")
        return self


class ClientConfig(_Table):
    """The whole of `[client]`; times in seconds. `heartbeat_timeout` 0 means that there is none."""

    remote_addr: str
    default_token: str | None = Field(default=None, repr=False)
    heartbeat_timeout: Seconds = 40
    retry_interval: RetrySeconds = 1
    transport: Transport | None = None
    services: Annotated[dict[ServiceName, Service], Field(min_length=1, max_length=MAX_SERVICES)]

    @model_validator(mode="after")
    def _check_tokens(self) -> Self:
        for name, service in self.services.items():
            if service.token is None and self.default_token is None:
                raise ValueError(f"the service {name} has no token, and there is no default_token")
        return self


class _File(_Table):
    client: ClientConfig


@dataclass(frozen=True)
class RemoteHost:
    """Decides at which host the rathole server is reached.

    Attributes:
        override: the host that the operator set (`RATHOLE_REMOTE_HOST`); empty where there is none.
        manager_host: the host of the instance manager, which stands in for one that cannot be reached.
        resolves: tells whether a name resolves here.
        replaced: told the host that `manager_host` took the place of, so that it can be said in the log.
    """

    override: str
    manager_host: str
    resolves: Callable[[str], bool]
    replaced: Callable[[str], None] = lambda _host: None

    def choose(self, given: str) -> str:
        """Return the host to connect to in place of the `given` one."""
        if self.override:
            return self.override
        if self._is_usable(given):
            return given
        self.replaced(given)
        return self.manager_host

    def _is_usable(self, host: str) -> bool:
        address = _address_of(host)
        if address is None:
            return host.lower() != "localhost" and self.resolves(host)
        return not (address.is_loopback or address.is_unspecified)


def parse_client_config(
    text: str, *, server_id: str, ports: Ports, synonyms: Sequence[Ports] = (), remote_host: RemoteHost
) -> ClientConfig:
    """Check a client.toml that came from another machine and point it at this server.

    Names, types, tokens and times are kept. Each `local_addr` becomes `<server_id>:<port>`; one that
    names another server, another port or another machine is refused, since the VPS could reach it.

    Args:
        text: the file.
        server_id: whose it shall be.
        ports: those that the game has.
        synonyms: other numbers that the file may call them by: a manager that grants other public ports than
            were asked for goes on writing the ones asked for.
        remote_host: at which host the rathole server is reached.

    Raises:
        ConfigRefused: the text is no client.toml that this server may have.
    """
    config = _read(text)
    named = {name: _own_port(name, service.local_addr, server_id) for name, service in config.services.items()}
    numbers = _numbers(named, server_id, (ports, *synonyms))
    services = {
        name: service.model_copy(update={"local_addr": join_address(server_id, numbers[named[name]])})
        for name, service in config.services.items()
    }
    host, port = _split_address("remote_addr", config.remote_addr)
    remote_addr = join_address(remote_host.choose(host), port)
    return config.model_copy(update={"remote_addr": remote_addr, "services": services})


def own_client_config(server_id: str, ports: Ports, manager_host: str, rathole_port: int, token: str) -> ClientConfig:
    """Return the configuration for a manager that has none to give; `token` is the one of `RATHOLE_TOKEN`."""
    game, beacon = (join_address(server_id, port) for port in (ports.game, ports.beacon))
    return ClientConfig(
        remote_addr=join_address(manager_host, rathole_port),
        default_token=token,
        services={
            f"{server_id}_game": Service(type="udp", local_addr=game),
            f"{server_id}_game_tcp": Service(type="tcp", local_addr=game),
            f"{server_id}_beacon": Service(type="tcp", local_addr=beacon),
        },
    )


def render_client_config(config: ClientConfig) -> str:
    """Return the client.toml of a checked configuration; it holds tokens."""
    return tomli_w.dumps({"client": config.model_dump(exclude_none=True)})


def generate_rathole_client_config(
    server_id: str, ports: Ports, manager_host: str, rathole_port: int, token: str
) -> str:
    """Return the client.toml that the agent writes where the manager has none, as text."""
    return render_client_config(own_client_config(server_id, ports, manager_host, rathole_port, token))


def join_address(host: str, port: int) -> str:
    """Return `host:port`, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _read(text: str) -> ClientConfig:
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise ConfigRefused(f"it is larger than {MAX_BYTES // 1024} KiB.")
    try:
        table = tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigRefused(f"it is not TOML: {_quoted(error)}.") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, arrays nested without end
        raise ConfigRefused("it is not TOML that can be read.") from None
    return _checked(table)


def _checked(table: dict[str, Any]) -> ClientConfig:
    try:
        return _File.model_validate(table).client
    except ValidationError as error:
        # Neither input nor context: both can hold a token.
        faults = error.errors(include_input=False, include_context=False, include_url=False)
        first = faults[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigRefused(
            f"{_quoted(key)}: {first['msg'].removeprefix('Value error, ')}.", key=_quoted(key)
        ) from None


def _own_port(name: str, address: str, server_id: str) -> int:
    """Return the port of an address that means this server, or refuse."""
    host, port = _split_address(f"services.{name}.local_addr", address)
    if not _may_mean(server_id, host):
        raise ConfigRefused(
            f"the service {name} leads to {_quoted(address)}; it must lead to {server_id}.", service=name
        )
    return port


def _numbers(named: Mapping[str, int], server_id: str, pairs: Sequence[Ports]) -> dict[int, int]:
    """Return which port of the game each number in the file means; the first of `pairs` is what the game has."""
    own = pairs[0]
    for pair in pairs:
        # As a whole: a number can be the game's in one pair and the messages' in another.
        if set(named.values()) <= {pair.game, pair.beacon}:
            return {pair.game: own.game, pair.beacon: own.beacon}
    name, port = next(item for item in named.items() if item[1] not in (own.game, own.beacon))
    raise ConfigRefused(
        f"the service {name} leads to port {port}; {server_id} has {own.game} and {own.beacon}.", service=name
    )


def _may_mean(server_id: str, host: str) -> bool:
    """Tell whether a host in a `local_addr` can only mean the game: its own name, or an address of old files."""
    return host.lower() in (server_id.lower(), "localhost") or _address_of(host) is not None


def _split_address(key: str, address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ConfigRefused(f"{key} is {_quoted(address)}, which has no port.", key=key)
    if not (is_host_name(host) or _address_of(host)):
        raise ConfigRefused(f"{key} is {_quoted(address)}, which has no host.", key=key)
    return host, int(port)


def _address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _quoted(text: object) -> str:
    """Shorten foreign text and make it printable, for a sentence."""
    return ascii(str(text)[:_QUOTE_LIMIT])[1:-1]
