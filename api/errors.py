"""One envelope for whatever goes wrong, and one table from what went wrong to its HTTP status."""

from http import HTTPStatus

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import HTTPException

from core.errors import (
    AgentError,
    Busy,
    ComposeFailed,
    Conflict,
    DeadlinePassed,
    DockerUnavailable,
    GameFailed,
    InvalidRequest,
    ManagerFailed,
    NotFound,
    ShuttingDown,
    StoreFailed,
)
from core.log import get_logger

log = get_logger("api")


class Malformed(AgentError):
    """The body is not JSON at all."""


class Unauthenticated(AgentError):
    """No key, or a wrong one."""


class NotJson(AgentError):
    """The body says that it is something else than JSON."""


class TooManyWrongKeys(AgentError):
    """One address has guessed too often; `retryAfter` in the details is in seconds."""


class LoopsStuck(AgentError):
    """A loop of the agent has not passed for too long."""


STATUS: dict[type[AgentError], int] = {
    Malformed: 400,
    Unauthenticated: 401,
    NotFound: 404,
    Conflict: 409,
    NotJson: 415,
    InvalidRequest: 422,
    TooManyWrongKeys: 429,
    ManagerFailed: 502,
    ComposeFailed: 502,
    GameFailed: 502,
    DockerUnavailable: 503,
    StoreFailed: 503,
    Busy: 503,
    ShuttingDown: 503,
    LoopsStuck: 503,
    DeadlinePassed: 504,
}

# What Flask refuses before a handler of ours is called.
_REFUSED_BY_FLASK = {
    404: ("unknown_route", "There is no such route; docs/openapi.yaml lists the ones there are."),
    405: ("method_not_allowed", "This route does not serve this method; the header Allow names those that it serves."),
    413: ("body_too_large", "A body has 1 MiB at most."),
}


def register(app: Flask) -> None:
    """Let `app` answer every error in the envelope.

    On the app, because the handlers of a blueprint are not called for unknown routes.
    """
    app.register_error_handler(AgentError, _on_agent_error)
    app.register_error_handler(HTTPException, _on_refusal_by_flask)
    app.register_error_handler(Exception, _on_unexpected)


def status_of(error: AgentError) -> int:
    """Return the HTTP status of an error: that of its family."""
    return next((status for family, status in STATUS.items() if isinstance(error, family)), 500)


def _on_agent_error(error: AgentError) -> Response:
    status = status_of(error)
    if status >= 500:
        log.warning("answered with an error", route=_route(), status=status, code=error.code, message=error.message)
    answer = _envelope(status, error.code, error.message, error.details)
    if isinstance(error, Unauthenticated):
        answer.headers["WWW-Authenticate"] = "Bearer"
    if "retryAfter" in error.details:
        answer.headers["Retry-After"] = str(error.details["retryAfter"])
    return answer


def _on_refusal_by_flask(error: HTTPException) -> Response:
    status = error.code or 500
    code, message = _REFUSED_BY_FLASK.get(status, _in_general(status))
    answer = _envelope(status, code, message, {})
    allowed = error.get_response().headers.get("Allow")
    if allowed:
        answer.headers["Allow"] = allowed
    return answer


def _in_general(status: int) -> tuple[str, str]:
    phrase = HTTPStatus(status).phrase
    return phrase.lower().replace(" ", "_").replace("-", "_"), f"The request cannot be served: {phrase.lower()}."


def _on_unexpected(error: Exception) -> Response:
    # The log has the traceback, the caller only the id to find it by: an exception's text may hold anything.
    log.error("a request failed unexpectedly", route=_route(), exc_info=error)
    message = f"The agent has a fault; its log has more under the request id {g.request_id}."
    return _envelope(500, "internal_error", message, {})


def _route() -> str:
    """Name the route by its rule: a path as sent could put anything into the log."""
    return f"{request.method} {request.url_rule}"


def _envelope(status: int, code: str, message: str, details: dict[str, object]) -> Response:
    answer = jsonify(status="error", code=code, message=message, details={**details, "requestId": g.request_id})
    answer.status_code = status
    return answer
