"""Whatever goes wrong has one shape, a true status and a sentence."""

import inspect

import pytest
import structlog
from structlog.testing import capture_logs
from werkzeug.exceptions import RequestEntityTooLarge, ServiceUnavailable

import core.errors
from api import errors
from api.routes import ROUTES, Route
from core.errors import AgentError, DockerUnavailable
from tests.fakes.face import KEY, SERVER_ID, Face, spawn_body

FAMILIES = [
    (errors.Malformed, 400),
    (errors.Unauthenticated, 401),
    (core.errors.NotFound, 404),
    (core.errors.Conflict, 409),
    (errors.NotJson, 415),
    (core.errors.InvalidRequest, 422),
    (core.errors.ManagerFailed, 502),
    (core.errors.ComposeFailed, 502),
    (core.errors.GameFailed, 502),
    (core.errors.DockerUnavailable, 503),
    (core.errors.StoreFailed, 503),
    (core.errors.ShuttingDown, 503),
    (errors.LoopsStuck, 503),
    (core.errors.DeadlinePassed, 504),
]
BODIES = {
    "/api/containers/spawn": spawn_body(),
    "/api/rathole/clients/<server_id>/configure": {"clientConfig": ""},
    "/api/rathole/clients/<server_id>/start": {"gamePort": 30012, "beaconPort": 30013},
}
CALLING_SERVERS = [route for route in ROUTES if "health" not in route.path and route.path != "/readyz"]


def _raise_in(face: Face, route: Route, fault: Exception) -> object:
    face.servers.fault = fault
    body = BODIES.get(route.path, {"serverId": SERVER_ID}) if route.method == "POST" else None
    return face.call(route.method, route.path.replace("<server_id>", SERVER_ID), json=body)


def test_every_family_has_a_status() -> None:
    """A family added to core or here without a row in the table fails this test."""
    families = {
        value
        for module in (core.errors, errors)
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, AgentError) and value is not AgentError
    }
    assert families == set(errors.STATUS)


@pytest.mark.parametrize(("family", "status"), FAMILIES)
def test_an_error_of_the_inside_gets_its_familys_status(family: type[AgentError], status: int) -> None:
    """A family, and whatever is derived from it, has one status."""
    assert errors.status_of(family("a_code", "A sentence.")) == status
    assert errors.status_of(type("Narrower", (family,), {})("a_code", "A sentence.")) == status


def test_an_errors_details_reach_the_caller(face: Face) -> None:
    """A deadline that passed names the operation that goes on."""
    face.servers.fault = core.errors.DeadlinePassed("deadline_passed", "It takes long; it goes on.", operation="17")
    answer = face.post("/api/containers/start", {"serverId": SERVER_ID})
    assert answer.status_code == 504
    assert answer.json["status"] == "error"
    assert answer.json["code"] == "deadline_passed"
    assert answer.json["message"] == "It takes long; it goes on."
    assert answer.json["details"]["operation"] == "17"


@pytest.mark.parametrize("route", CALLING_SERVERS, ids=lambda route: route.name)
def test_every_route_lets_an_error_of_the_inside_out_in_the_envelope(face: Face, route: Route) -> None:
    """No handler swallows an error or answers it with a 200."""
    answer = _raise_in(face, route, core.errors.StoreFailed("store_failed", "The disk is full."))
    assert (answer.status_code, answer.json["code"]) == (503, "store_failed")


@pytest.mark.parametrize("route", CALLING_SERVERS, ids=lambda route: route.name)
def test_every_route_survives_what_nobody_expected(face: Face, route: Route) -> None:
    """An unexpected exception is a 500 that gives nothing away, and a traceback in the log."""
    with capture_logs() as lines:
        answer = _raise_in(face, route, ZeroDivisionError("/data/secret"))
    assert answer.status_code == 500
    assert answer.json["code"] == "internal_error"
    assert answer.json["details"] == {"requestId": answer.headers["X-Request-Id"]}
    assert answer.headers["X-Request-Id"] in answer.json["message"]
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    assert [line["exc_info"].args for line in lines if "exc_info" in line] == [("/data/secret",)]


def test_an_unknown_route_is_404_in_the_envelope(face: Face) -> None:
    """Whoever has a key is told that there is no such route."""
    for path in ("/", "/nope", "/api/containers/", "/api//containers", "/api/containers/a/b/status"):
        answer = face.get(path)
        assert (answer.status_code, answer.json["code"]) == (404, "unknown_route"), path


@pytest.mark.parametrize("method", ["PUT", "PATCH", "OPTIONS", "DELETE", "TRACE"])
def test_a_wrong_method_is_405_and_names_the_right_ones(face: Face, method: str) -> None:
    """The header Allow names what the route serves."""
    answer = face.call(method, "/api/containers/spawn")
    assert (answer.status_code, answer.json["code"]) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST"


def test_other_refusals_of_flask_have_the_shape_too(face: Face) -> None:
    """A refusal without a sentence of its own gets one made of its status."""
    face.servers.fault = ServiceUnavailable("<b>html</b>")
    answer = face.get("/api/containers")
    assert (answer.status_code, answer.json["code"]) == (503, "service_unavailable")
    assert "html" not in answer.text
    face.servers.fault = RequestEntityTooLarge()
    with face.app.test_request_context("/"):
        assert errors._in_general(414)[0] == "request_uri_too_long"


def test_errors_that_an_operator_must_see_are_logged_with_their_sentence(face: Face) -> None:
    """Docker away is a line in the log; a caller's own mistake is none."""
    with capture_logs() as lines:
        face.servers.fault = DockerUnavailable("docker_unavailable", "Docker does not answer; is it running?")
        face.get("/api/containers")
        face.get("/api/containers/unknown-id/status")
    assert [(line["route"], line["message"]) for line in lines] == [
        ("GET /api/containers", "Docker does not answer; is it running?")
    ]


def test_a_request_id_goes_in_and_out(face: Face) -> None:
    """The caller's id comes back in the header, in errors, and is gone afterwards."""
    sent = {"X-Request-Id": "call-17.a_B"}
    assert face.call("GET", "/api/stats", headers=sent).headers["X-Request-Id"] == "call-17.a_B"
    refused = face.stranger.get("/api/stats", headers=sent)
    assert refused.headers["X-Request-Id"] == refused.json["details"]["requestId"] == "call-17.a_B"


@pytest.mark.parametrize("sent", ["", "x" * 65, "a b", "a\tb", "é", "<script>", "id;rm"])
def test_a_strange_request_id_is_replaced(face: Face, sent: str) -> None:
    """What could forge a line of the log is not taken over."""
    given = face.call("GET", "/health", headers={"X-Request-Id": sent}).headers["X-Request-Id"]
    assert given != sent
    assert len(given) == 16


def test_two_requests_have_two_ids(face: Face) -> None:
    """An id that the agent makes names one request."""
    assert face.get("/health").headers["X-Request-Id"] != face.get("/health").headers["X-Request-Id"]


def test_the_request_id_is_bound_in_each_log_line_of_its_request(face: Face) -> None:
    """Whatever is logged while a request is served carries its id, and nothing after it does."""
    seen = []
    face.app.before_request(lambda: seen.append(structlog.contextvars.get_contextvars()))
    face.call("GET", "/health", headers={"X-Request-Id": "call-18"})
    assert seen == [{"request_id": "call-18"}]
    assert structlog.contextvars.get_contextvars() == {}


def test_the_key_is_not_needed_to_see_the_shape(face: Face) -> None:
    """Even the refusal at the door is JSON, never a page."""
    answer = face.stranger.get("/", headers={"Accept": "text/html"})
    assert answer.mimetype == "application/json"
    assert set(answer.json) == {"status", "code", "message", "details"}
    assert KEY not in answer.text
