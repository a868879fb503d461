"""The face put together: routes, gate, errors and request ids on one Flask app."""

import re
import secrets
import threading
from collections.abc import Callable

import structlog
from flask import Flask, Response, g, jsonify, request

from api import errors
from api.auth import Gate
from api.requests import MAX_BODY
from api.routes import ROUTES, Access, Route
from api.services import Services
from core.errors import Busy
from core.ids import check_server_id

# Of gunicorn's 64 threads, so that changes which take minutes never close the door to reads.
_CHANGES_AT_ONCE = 32
_BUSY_SECONDS = 5
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


def register(app: Flask, services: Services) -> None:
    """Let `app` serve the agent's API; starts nothing.

    Args:
        app: a fresh app.
        services: all that is called from here.
    """
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.merge_slashes = False  # else `//` in a path is answered with a redirect, as an HTML page
    errors.register(app)
    app.before_request(_take_request_id)
    app.before_request(_gate(services))
    app.after_request(_give_request_id)
    app.teardown_request(_forget_request_id)
    places = threading.BoundedSemaphore(_CHANGES_AT_ONCE)
    for route in ROUTES:
        serve = _serving(route, services)
        app.add_url_rule(
            route.path,
            endpoint=route.name,
            view_func=serve if route.method == "GET" else _in_place(serve, places),
            methods=[route.method],
            provide_automatic_options=False,
        )


def _serving(route: Route, services: Services) -> Callable[..., Response]:
    def serve(**path: str) -> Response:
        checked = {name: check_server_id(value) for name, value in path.items()}
        return jsonify(route.handler(services, **checked))

    return serve


def _in_place(serve: Callable[..., Response], places: threading.Semaphore) -> Callable[..., Response]:
    """Serve a change in one of the places: whoever finds none is told to come back, and holds no thread."""

    def serve_in_place(**path: str) -> Response:
        if not places.acquire(blocking=False):
            raise Busy("busy", "Too many changes are under way; try again in a moment.", retryAfter=_BUSY_SECONDS)
        try:
            return serve(**path)
        finally:
            places.release()

    return serve_in_place


def _gate(services: Services) -> Callable[[], None]:
    gate = Gate(services.settings.host_agent_api_key, services.trust, services.clock)
    open_to_all = {route.name for route in ROUTES if route.access is Access.OPEN}

    def admit() -> None:
        if request.endpoint not in open_to_all:
            gate.admit()

    return admit


def _take_request_id() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _give_request_id(answer: Response) -> Response:
    answer.headers["X-Request-Id"] = g.request_id
    return answer


def _forget_request_id(_error: BaseException | None) -> None:
    # The thread serves other requests after this one.
    structlog.contextvars.unbind_contextvars("request_id")
