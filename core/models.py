"""The words of the domain: what a server is asked to be, and the closed lists of what can be said of it."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    field_serializer,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from core.errors import AgentError
from core.ids import check_server_id

_VARIABLE_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_USER_NUMBER = re.compile(r"0*[1-9][0-9]{0,8}")
_MAX_VARIABLES = 64
_MAX_VALUE_BYTES = 4096


class Phase(StrEnum):
    """What a server does as a whole."""

    PROVISIONING = "provisioning"
    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    STOPPING = "stopping"
    STOPPED = "stopped"
    STOPPED_EXTERNALLY = "stopped_externally"
    CRASHED = "crashed"
    FAILED = "failed"
    DELETING = "deleting"


class TunnelState(StrEnum):
    """What a tunnel, or one service of it, does."""

    STOPPED = "stopped"
    STARTING = "starting"
    CONNECTING = "connecting"
    UP = "up"
    DEGRADED = "degraded"
    BACKOFF = "backoff"
    FAILED = "failed"
    STOPPING = "stopping"


class TunnelReason(StrEnum):
    """Why a tunnel is not up."""

    MANAGER_UNREACHABLE = "manager_unreachable"
    AUTH_REFUSED = "auth_refused"
    CONFIG_REFUSED = "config_refused"
    PORT_TAKEN = "port_taken"
    PORT_MISMATCH = "port_mismatch"
    VPS_UNREACHABLE = "vps_unreachable"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - a reason, not a token
    SERVICE_UNKNOWN = "service_unknown"
    CONTAINER_DOWN = "container_down"
    STUCK = "stuck"
    DATA_PATH_FAILED = "data_path_failed"


class OperationKind(StrEnum):
    """What is being done to a server."""

    PROVISION = "provision"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    KILL = "kill"
    DELETE = "delete"
    RECONFIGURE = "reconfigure"


class OperationStatus(StrEnum):
    """How far an operation is."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class Saved(StrEnum):
    """Whether a game was saved before its end."""

    TRUE = "true"
    FALSE = "false"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True)
class SaveOutcome:
    """What came of saving a game before its end.

    Attributes:
        saved: `impossible` where nobody gave the agent the right to.
        file: name of the save, None where there is none.
        seconds: how long it took.
        message: why it was not saved, as a sentence; empty where it was.
    """

    saved: Saved
    file: str | None
    seconds: float
    message: str


@dataclass(frozen=True)
class Ports:
    """The two numbers of a server, each the same at the VPS, in rathole and in the game.

    The game's own port serves UDP and TCP; the messaging port (`beacon`, as the wire calls it) TCP only.
    """

    game: int
    beacon: int


def _checked_id(value: Any) -> str:  # noqa: ANN401 - whatever a caller sent
    try:
        return check_server_id(value)
    except AgentError as error:
        raise ValueError(error.message) from error


def _plain_text(value: str) -> str:
    if "\0" in value or "\n" in value or "\r" in value:
        raise ValueError("Must not hold a line break or NUL.")
    try:
        value.encode()
    except UnicodeEncodeError as error:  # half a surrogate pair, which JSON can spell and no file can hold
        raise ValueError("Must be text.") from error
    return value


def refuse_equal_ports(ports: Ports) -> None:
    """Raise ValueError, which a model's validator may, where the two of a server are one number."""
    if ports.game == ports.beacon:
        raise ValueError("gamePort and beaconPort must differ: the game needs both as TCP ports.")


ServerId = Annotated[str, BeforeValidator(_checked_id)]
Port = Annotated[int, Field(strict=True, ge=1024, le=65535)]
Text = Annotated[str, StringConstraints(max_length=256), AfterValidator(_plain_text)]


class ServerSpec(BaseModel):
    """The request to provision a server, as given and checked; "the same spawn" is one equal to it.

    Field names on the wire are the camelCase ones. RAM in GB, CPU in cores; where they are null the
    defaults of the compose file apply. Both ports are the requested ones: the manager may name others.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, frozen=True, strict=True
    )

    server_id: ServerId
    server_name: Annotated[Text, StringConstraints(min_length=1)]
    game_port: Port
    beacon_port: Port
    ram_allocation: Annotated[int, Field(ge=1, le=1024)] | None = None
    cpu_allocation: Annotated[int, Field(ge=1, le=256)] | None = None
    max_players: Annotated[int, Field(ge=1, le=127)] = 4
    server_password: SecretStr | None = None
    environment_variables: dict[str, str] = Field(default_factory=dict)

    @property
    def ports(self) -> Ports:
        """The requested ports."""
        return Ports(self.game_port, self.beacon_port)

    @field_validator("environment_variables", mode="before")
    @classmethod
    def _null_is_empty(cls, value: Any) -> Any:  # noqa: ANN401 - whatever a caller sent
        return {} if value is None else value

    @field_validator("environment_variables")
    @classmethod
    def _check_environment(cls, value: dict[str, str]) -> dict[str, str]:
        if len(value) > _MAX_VARIABLES:
            raise ValueError(f"At most {_MAX_VARIABLES} variables.")
        for name, text in value.items():
            if not _VARIABLE_NAME.fullmatch(name):
                raise ValueError(f"The name {name[:64]!r} is not of the form [A-Z][A-Z0-9_]*, 64 characters at most.")
            if len(text.encode()) > _MAX_VALUE_BYTES:
                raise ValueError(f"The value of {name} is longer than {_MAX_VALUE_BYTES} bytes.")
            _plain_text(text)
        return value

    @field_validator("server_password")
    @classmethod
    def _check_password(cls, value: SecretStr | None) -> SecretStr | None:
        # An orchestrator sends "" for a server without a password.
        if value is None or not value.get_secret_value():
            return None
        if len(value.get_secret_value()) > 256:
            raise ValueError("A password has 256 characters at most.")
        _plain_text(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        refuse_equal_ports(self.ports)
        self._refuse_contradictions()
        return self

    def _refuse_contradictions(self) -> None:
        """The agent sets these itself; another value would be a game that nobody can join."""
        own = {"SERVERGAMEPORT": str(self.game_port), "SERVERMESSAGINGPORT": str(self.beacon_port)}
        for name, value in own.items():
            if self.environment_variables.get(name, value) != value:
                raise ValueError(f"environmentVariables.{name} contradicts the requested ports.")
        for name in ("PUID", "PGID"):
            if not _USER_NUMBER.fullmatch(self.environment_variables.get(name, "1000")):
                raise ValueError(f"environmentVariables.{name} must be a number above 0: the image is never root.")

    @field_serializer("server_password", when_used="json")
    def _reveal_password(self, value: SecretStr | None) -> str | None:
        """JSON is written to private files only; `repr` and `str` stay masked."""
        return value.get_secret_value() if value else None

    def to_json(self) -> str:
        """Return the spec for the store and for `server.json`; it holds the password."""
        return self.model_dump_json(by_alias=True)
