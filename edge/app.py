"""The instance manager's HTTP API, as agents in the field call it."""

import hmac
from http import HTTPStatus
from typing import Annotated, TypeVar

from flask import Flask, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from werkzeug.exceptions import HTTPException

from core.errors import AgentError, Conflict, InvalidRequest, ManagerFailed, NotFound, StoreFailed
from core.hosts import HostName
from core.ids import check_server_id
from core.log import get_logger
from edge.instances import Instance
from edge.manager import InstanceManager

_log = get_logger("edge")
_BODY_LIMIT = 1024 * 1024
_STATUSES = {
    InvalidRequest: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    # This is the manager itself; a deployed one says 500 as well.
    ManagerFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    StoreFailed: HTTPStatus.SERVICE_UNAVAILABLE,
}

Port = Annotated[int, Field(ge=1024, le=65535)]
Answer = tuple[Response, int]
M = TypeVar("M", bound=BaseModel)


class InstanceRequest(BaseModel):
    """The body of a create; callers of other generations may send more."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    server_id: str
    game_port: Port
    query_port: Port

    @model_validator(mode="before")
    @classmethod
    def _accept_beacon_port(cls, value: object) -> object:
        # Agents send the name of the first generation, beacon_port, as well or alone.
        if not isinstance(value, dict) or "beacon_port" not in value:
            return value
        if "query_port" in value and value["query_port"] != value["beacon_port"]:
            raise ValueError("query_port and beacon_port are two names of one port; send one value")
        return {**value, "query_port": value["beacon_port"]}


class ClientConfigQuery(BaseModel):
    """The query of a client-config."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    host_ip: HostName


def create_app(manager: InstanceManager, *, token: SecretStr, public_host: str) -> Flask:
    """Return the API.

    Args:
        manager: what grants the instances.
        token: what callers must present.
        public_host: the host that players type.
    """
    app = Flask("edge", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = _BODY_LIMIT
    app.before_request(lambda: _require(token))
    _add_error_handlers(app)
    _add_routes(app, manager, public_host)
    return app


def _add_routes(app: Flask, manager: InstanceManager, public_host: str) -> None:
    @app.get("/health")
    def health() -> Response:
        return jsonify(status="healthy", active_instances=manager.active_instances)

    @app.post("/api/instances")
    def create() -> Response:
        wanted = _read(InstanceRequest, request.get_json())
        server_id = check_server_id(wanted.server_id)
        instance = manager.create(server_id, wanted.game_port, wanted.query_port)
        return jsonify(status="success", **_granted(instance, public_host))

    @app.get("/api/instances/<server_id>")
    def find(server_id: str) -> Response:
        instance, is_running = manager.find(check_server_id(server_id))
        state = {
            "game_port": instance.game_port,
            "query_port": instance.query_port,
            "is_running": is_running,
        }
        return jsonify(status="success", instance={**_granted(instance, public_host), **state})

    @app.get("/api/instances/<server_id>/client-config")
    def client_config(server_id: str) -> Response:
        query = _read(ClientConfigQuery, request.args.to_dict())
        config = manager.client_config(check_server_id(server_id), query.host_ip)
        return jsonify(status="success", config=config, server_id=server_id, host_ip=query.host_ip)

    @app.delete("/api/instances/<server_id>")
    def remove(server_id: str) -> Response:
        manager.remove(check_server_id(server_id))
        return jsonify(status="success", server_id=server_id)


def _granted(instance: Instance, public_host: str) -> dict[str, object]:
    game, query = f"{public_host}:{instance.game_port}", f"{public_host}:{instance.query_port}"
    return {
        "server_id": instance.server_id,
        "rathole_port": instance.control_port,
        "tunnel_game_tcp_port": instance.game_port,
        "tunnel_game_udp_port": instance.game_port,
        "tunnel_query_port": instance.query_port,
        "public_connection_info": {
            "game_tcp_address": game,
            "game_udp_address": game,
            "query_address": query,
        },
    }


def _read(model: type[M], value: object) -> M:
    """Check what a caller sent; every fault is named, none with its value."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'body'}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_input=False)
        ]
        raise InvalidRequest("invalid_fields", f"{'; '.join(faults)}.") from None


def _require(token: SecretStr) -> Answer | None:
    """Let in who presents the token, in any of the ways of agents in the field."""
    expected = token.get_secret_value().encode()
    # Every one is compared, so that the time tells nothing of which was there.
    matches = [hmac.compare_digest(given.encode(errors="surrogatepass"), expected) for given in _presented()]
    if request.path == "/health" or any(matches):
        return None
    return _failure(401, "unauthorized", "Present RATHOLE_TOKEN as Authorization: Bearer or X-API-Token.")


def _presented() -> list[str]:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    body = request.get_json(silent=True) if request.method == "POST" else None
    token = body.get("token") if isinstance(body, dict) else None
    return [
        bearer.strip() if scheme.lower() == "bearer" else "",
        request.headers.get("X-API-Token", ""),
        request.args.get("token", ""),
        token if isinstance(token, str) else "",
    ]


def _add_error_handlers(app: Flask) -> None:
    @app.errorhandler(AgentError)
    def refused(error: AgentError) -> Answer:
        status = _STATUSES.get(type(error), HTTPStatus.INTERNAL_SERVER_ERROR)
        return _failure(status, error.code, error.message)

    @app.errorhandler(HTTPException)
    def not_served(error: HTTPException) -> Answer:
        status = HTTPStatus(error.code or 500)
        return _failure(status, status.name.lower(), error.description or status.phrase)

    @app.errorhandler(RecursionError)
    def too_deep(_: RecursionError) -> Answer:
        return _failure(400, "bad_request", "The JSON is nested too deeply.")

    @app.errorhandler(Exception)
    def bug(error: Exception) -> Answer:
        _log.error("A request failed on a bug.", path=request.path, exc_info=error)
        return _failure(500, "internal_error", "The edge has a bug here; its log has the details.")


def _failure(status: int, code: str, message: str) -> Answer:
    return jsonify(status="error", code=code, message=message), int(status)
