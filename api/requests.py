"""What callers send: the models of the bodies, and how a body becomes one."""

from typing import Any, Self, TypeVar

from flask import request
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails
from werkzeug.exceptions import RequestEntityTooLarge

from api.errors import Malformed, NotJson
from core.errors import InvalidRequest
from core.models import Port, Ports, ServerId, refuse_equal_ports
from provisioning.servers import Cleanup

MAX_BODY = 1024 * 1024
"""Bytes of a body that are read at most."""
_MAX_FAULTS = 20

M = TypeVar("M", bound=BaseModel)


class Body(BaseModel):
    """A JSON object with camelCase names; what it holds beyond is ignored."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, strict=True)


class ServerBody(Body):
    """Names a server: start, kill."""

    server_id: ServerId


class RestartBody(ServerBody):
    """Names a server whose game is to be ended; `force` does it even where it cannot be saved."""

    force: bool | None = None


class StopBody(RestartBody):
    """Names a server and what shall go with it; nothing but the container by default."""

    cleanup_type: Cleanup | None = None


class ConfigureBody(Body):
    """A whole client.toml as text; the id, where it is sent, must be the path's."""

    server_id: ServerId | None = None
    client_config: str


class TunnelBody(Body):
    """The ports for which a tunnel is wanted."""

    game_port: Port
    beacon_port: Port

    @model_validator(mode="after")
    def _check_ports(self) -> Self:
        refuse_equal_ports(self.ports)
        return self

    @property
    def ports(self) -> Ports:
        """Both as one."""
        return Ports(self.game_port, self.beacon_port)


def read(model: type[M]) -> M:
    """Return the request's body as a `model`.

    Raises:
        NotJson: the content type is another one.
        Malformed: it is not JSON.
        RequestEntityTooLarge: it is longer than MAX_BODY.
        InvalidRequest: it is, and its fields are not right; the details name each by its name on the wire.
    """
    if not request.is_json:
        raise NotJson("not_json", "Send the body as JSON, with the header Content-Type: application/json.")
    try:
        return model.model_validate_json(_body())
    except ValidationError as error:
        # `from None` and no input: what was sent may hold a password.
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        raise _refusal(model, faults[:_MAX_FAULTS]) from None


def _body() -> bytes:
    data = request.get_data()
    # A body in chunks names no length, and is cut off at the limit without an error (tried with werkzeug 3.1).
    if request.content_length is None and len(data) >= MAX_BODY:
        raise RequestEntityTooLarge
    return data


def _refusal(model: type[BaseModel], faults: list[ErrorDetails]) -> Malformed | InvalidRequest:
    if faults[0]["type"] == "json_invalid":
        return Malformed("malformed_json", f"The body is not JSON: {faults[0]['msg'].removeprefix('Invalid JSON: ')}.")
    details: dict[str, Any] = {}
    for fault in faults:
        for name in _fields(model, fault):
            details[name] = f"{details.get(name, '')} {_sentence(fault)}".lstrip()
    code = "invalid_server_id" if "serverId" in details else "invalid_fields"
    return InvalidRequest(code, " ".join(f"{name}: {text}" for name, text in details.items()), **details)


def _fields(model: type[BaseModel], fault: ErrorDetails) -> list[str]:
    """Return the wire names that a fault is about; a rule over several fields names them in its sentence."""
    if fault["loc"]:
        return [str(fault["loc"][0])]
    aliases = [field.alias for field in model.model_fields.values() if field.alias]
    return [alias for alias in aliases if alias in fault["msg"]] or ["body"]


def _sentence(fault: ErrorDetails) -> str:
    inner = ".".join(str(part) for part in fault["loc"][1:])[:64]
    text = fault["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{inner}: {text}." if inner else f"{text}."
