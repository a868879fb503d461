"""The edge's settings: read once from the environment, checked all together, never changed."""

import os
import re
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from core.hosts import HostName
from core.settings import PLACEHOLDER, PortNumber, fault_of

_MIN_TOKEN_LENGTH = 16
_PORT_RANGE = re.compile(r"(\d{4,5})-(\d{4,5})")
_LOWEST_PORT, _HIGHEST_PORT = 1024, 65535


def _parse_range(value: object) -> object:
    """Turn `30000-30019`, both ends included, into a range."""
    if not isinstance(value, str):
        return value
    match = _PORT_RANGE.fullmatch(value.strip())
    first, last = (int(match[1]), int(match[2])) if match else (0, 0)
    if not _LOWEST_PORT <= first <= last <= _HIGHEST_PORT:
        raise ValueError("must be FIRST-LAST, two ports from 1024 to 65535, such as 30000-30019")
    return range(first, last + 1)


PortRange = Annotated[range, BeforeValidator(_parse_range)]


class EdgeSettings(BaseModel):
    """All that an operator can set. Each field is the environment variable of its name in upper case.

    Attributes:
        edge_api_port: where the API listens, TCP.
        edge_ports: the public ports that may be asked for; to be published one to one, TCP and UDP.
        edge_control_ports: one is taken per instance, for its rathole clients; TCP.
        edge_data_dir: instances, keys and logs; private to the edge.
        edge_public_host: the host name or IPv4 address that players type.
        edge_remote_host: the host by which rathole clients reach the control ports.
        rathole_token: what callers of the API must present.
        rathole_binary: the rathole program, a path or a name in PATH.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, arbitrary_types_allowed=True)

    edge_api_port: PortNumber = 7001
    edge_ports: PortRange = range(30000, 30020)
    edge_control_ports: PortRange = range(20000, 20020)
    edge_data_dir: Path = Path("/data")
    edge_public_host: HostName
    edge_remote_host: HostName
    rathole_token: SecretStr
    rathole_binary: Path

    @field_validator("rathole_token")
    @classmethod
    def _check_token(cls, value: SecretStr) -> SecretStr:
        token = value.get_secret_value()
        if token.startswith(PLACEHOLDER) or len(token) < _MIN_TOKEN_LENGTH:
            raise ValueError(
                f"must be a random token of at least {_MIN_TOKEN_LENGTH} characters, e.g. `openssl rand -hex 32`"
            )
        return value

    @field_validator("edge_data_dir")
    @classmethod
    def _resolve(cls, value: Path) -> Path:
        # A rathole server is found again by the path of its configuration, so there must be one way only to
        # write that path, wherever the edge was started.
        return value.resolve()

    @model_validator(mode="after")
    def _check_overlap(self) -> Self:
        if set(self.edge_ports) & set(self.edge_control_ports):
            raise ValueError("EDGE_PORTS and EDGE_CONTROL_PORTS must have no port in common")
        if self.edge_api_port in {*self.edge_ports, *self.edge_control_ports}:
            raise ValueError("EDGE_API_PORT must be neither in EDGE_PORTS nor in EDGE_CONTROL_PORTS")
        return self

    @field_validator("rathole_binary", mode="after")
    @classmethod
    def _find_binary(cls, value: Path) -> Path:
        found = shutil.which(value)
        if found is None:
            raise ValueError(f"there is no program {value}; install rathole or name its path")
        return Path(found).absolute()


def load_settings(environ: Mapping[str, str] | None = None) -> EdgeSettings:
    """Read and check the settings.

    Args:
        environ: the environment; that of this process by default.

    Raises:
        SettingsFault: something is missing or wrong; every fault is named.
    """
    source = os.environ if environ is None else environ
    given = {name: source.get(name.upper(), "") for name in EdgeSettings.model_fields}
    values = {name: value for name, value in given.items() if value.strip()}
    defaults = {"edge_remote_host": socket.gethostname(), "rathole_binary": "rathole"}
    try:
        return EdgeSettings.model_validate({**defaults, **values})
    except ValidationError as error:
        raise fault_of(error, documented_in="docs/own-vps.md") from None
