"""Settings: read once from the environment, checked all together, never changed."""

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FilePath,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from core.hosts import is_host_name

PLACEHOLDER = "change-me"
_MIN_KEY_LENGTH = 16

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsFault(Exception):
    """Settings that cannot be used; `str()` of it names every fault, a line each."""


def _split(value: Any) -> Any:  # noqa: ANN401 - the environment's text, or a default
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _network(value: Any) -> Network:  # noqa: ANN401 - a part of the environment's text, or a default
    try:
        return ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f"{error}; give networks as 192.0.2.0/24, one machine as 192.0.2.7/32") from error


def _host(value: str) -> str:
    if value and not is_host_name(value):
        try:
            ipaddress.IPv6Address(re.sub(r"^\[(.*)\]$", r"\1", value))
        except ValueError as error:
            raise ValueError("must be a host name or an address, without scheme, port or path") from error
    return value


Host = Annotated[str, AfterValidator(_host)]
NetworkList = Annotated[tuple[Annotated[Network, BeforeValidator(_network)], ...], BeforeValidator(_split)]
PortNumber = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """All that an operator can set. Each field is the environment variable of its name in upper case.

    `.env.example` documents meaning, default and unit of each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    node_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    max_servers: Annotated[int, Field(ge=1, le=1000)] = 10
    satis_data_dir: Path = Path("/data")
    game_server_image: Annotated[str, Field(min_length=1)] = "wolveix/satisfactory-server:v1.9.10"
    publish_ports: bool | None = None
    compose_timeout: Seconds = 120
    save_timeout: Seconds = 120
    restart_budget: Annotated[int, Field(ge=1)] = 5
    restart_window: Seconds = 600
    dangling_grace: Seconds | None = None

    host_agent_port: PortNumber = 8082
    host_agent_api_key: SecretStr
    host_agent_trusted_networks: NetworkList = ()
    host_agent_tls_cert: FilePath | None = None
    host_agent_tls_key: Annotated[FilePath | None, Field(validate_default=True)] = None

    orchestrator_host: Host = "satisfactory-orchestrator"
    orchestrator_port: PortNumber = 8080
    orchestrator_network: str = ""
    use_hostname_registration: bool = False
    advertise_address: Host = ""
    heartbeat_interval: Seconds = 60
    heartbeat_timeout: Seconds = 10
    max_heartbeat_failures: Annotated[int, Field(ge=1)] = 3
    register_interval: Seconds = 600

    rathole_instance_manager_host: Host = ""
    rathole_instance_manager_port: PortNumber = 7001
    rathole_instance_manager_prefix: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?$")] = ""
    use_https_rathole: bool = False
    rathole_manager_ca: FilePath | None = None
    rathole_token: SecretStr = SecretStr("")
    access_token: SecretStr = SecretStr("")
    legacy_auth_enabled: bool = True
    rathole_client_binary: str = "rathole"
    rathole_remote_host: Host = ""
    rathole_public_host: Host = ""
    port_policy: Literal["follow", "keep"] = "follow"
    watchdog_seconds: Seconds = 30
    refused_seconds: Seconds = 60

    @field_validator("host_agent_api_key")
    @classmethod
    def _check_key(cls, value: SecretStr) -> SecretStr:
        key = value.get_secret_value()
        if key.startswith(PLACEHOLDER):
            raise ValueError("is still the placeholder of .env.example; set a random key, e.g. `openssl rand -hex 32`")
        if len(key) < _MIN_KEY_LENGTH:
            raise ValueError(
                f"has fewer than {_MIN_KEY_LENGTH} characters; set a random key, e.g. `openssl rand -hex 32`"
            )
        return value

    @field_validator("rathole_token", "access_token")
    @classmethod
    def _refuse_placeholder(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value().startswith(PLACEHOLDER):
            raise ValueError("is still the placeholder of .env.example; set the manager's token, or leave it empty")
        return value

    @field_validator("satis_data_dir")
    @classmethod
    def _check_absolute(cls, value: Path) -> Path:
        # Docker resolves bind mounts on the host, so the path must be the same inside and outside.
        if not value.is_absolute():
            raise ValueError("must be an absolute path, the same on the host and in the container")
        return value

    @field_validator("host_agent_tls_key")
    @classmethod
    def _check_pair(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        # Of the field, not of the model: pydantic checks a model only where no field is at fault.
        # A certificate at fault is not among the data, and has been named already.
        if (value is None) != (info.data.get("host_agent_tls_cert", value) is None):
            raise ValueError("goes together with HOST_AGENT_TLS_CERT; set both or none")
        return value

    @property
    def manager_url(self) -> str | None:
        """The instance manager's base address; None where there is no manager."""
        if not self.rathole_instance_manager_host:
            return None
        scheme, port = ("https", 443) if self.use_https_rathole else ("http", self.rathole_instance_manager_port)
        return f"{scheme}://{self.rathole_instance_manager_host}:{port}{self.rathole_instance_manager_prefix}"

    @property
    def ports_published(self) -> bool:
        """Whether games publish their ports on this host: by default only where no tunnel leads to them."""
        return self.manager_url is None if self.publish_ports is None else self.publish_ports

    @property
    def orchestrator_url(self) -> str | None:
        """The orchestrator's base address; None where the agent runs alone."""
        return f"http://{self.orchestrator_host}:{self.orchestrator_port}" if self.orchestrator_host else None

    @property
    def reserved_ids(self) -> frozenset[str]:
        """Names of configured machines, in lower case: a server so named would catch calls meant for them."""
        hosts = (
            self.orchestrator_host,
            self.rathole_instance_manager_host,
            self.rathole_remote_host,
            self.rathole_public_host,
            self.advertise_address,
            socket.gethostname(),
        )
        return frozenset(host.lower() for host in hosts if host)


# Empty means "not set" for all but these, where it means "there is none".
_EMPTY_IS_A_VALUE = frozenset({"orchestrator_host"})


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings.

    Args:
        environ: the environment; that of this process by default.

    Raises:
        SettingsFault: something is missing or wrong; every fault is named.
    """
    source = os.environ if environ is None else environ
    given = {name: source[name.upper()] for name in Settings.model_fields if name.upper() in source}
    values: dict[str, Any] = {
        name: value for name, value in given.items() if value.strip() or name in _EMPTY_IS_A_VALUE
    }
    try:
        return Settings.model_validate({"node_id": socket.gethostname(), **values})
    except ValidationError as error:
        raise fault_of(error, documented_in=".env.example") from None


def fault_of(error: ValidationError, *, documented_in: str) -> SettingsFault:
    """Return the fault that names each wrong setting, never with its value, which may be a secret."""
    faults = error.errors(include_input=False)
    return SettingsFault("\n".join(_sentence(f["loc"], f["type"], f["msg"], documented_in) for f in faults))


def _sentence(location: tuple[int | str, ...], kind: str, message: str, documented_in: str) -> str:
    text = message.removeprefix("Value error, ")
    if not location:  # a fault of several settings together, which its text names
        return f"{text}."
    name = str(location[0]).upper()
    return f"{name} is not set; see {documented_in}." if kind == "missing" else f"{name}: {text}."
