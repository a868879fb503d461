"""Who is let in, and what a stranger learns."""

import pytest
from structlog.testing import capture_logs

from api.auth import MAX_ADDRESSES, WINDOW, WRONG_KEYS, WrongKeys
from api.routes import ROUTES, Access, Route
from tests.fakes.face import KEY, SERVER_ID, Face, make_face, spawn_body

GUARDED = [route for route in ROUTES if route.access is Access.KEY]
OPEN = [route for route in ROUTES if route.access is Access.OPEN]


def _path(route: Route) -> str:
    return route.path.replace("<server_id>", SERVER_ID)


def _name(route: Route) -> str:
    return route.name


@pytest.mark.parametrize("route", GUARDED, ids=_name)
def test_no_route_is_served_without_a_key(face: Face, route: Route) -> None:
    """Without a key each guarded route is 401, says which header it wants, and does nothing."""
    answer = face.stranger.open(_path(route), method=route.method, json=spawn_body())
    assert answer.status_code == 401
    assert answer.json["code"] == "no_key"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert face.servers.calls == 0


@pytest.mark.parametrize("route", GUARDED, ids=_name)
def test_no_route_is_served_with_a_wrong_key(face: Face, route: Route) -> None:
    """With a wrong key each guarded route is 401 and does nothing."""
    answer = face.call(route.method, _path(route), key=f"{KEY}x", json=spawn_body())
    assert answer.status_code == 401
    assert answer.json["code"] == "wrong_key"
    assert face.servers.calls == 0


@pytest.mark.parametrize("route", OPEN, ids=_name)
def test_open_routes_need_no_key(face: Face, route: Route) -> None:
    """Whoever watches the agent needs no key, and a wrong one does no harm."""
    assert face.stranger.get(route.path).status_code == 200
    assert face.call("GET", route.path, key="wrong").status_code == 200


def test_only_the_four_health_routes_are_open() -> None:
    """A new route is guarded unless someone decides otherwise here too."""
    assert {route.name for route in OPEN} == {"GET /api/health", "GET /health", "GET /healthz", "GET /readyz"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nope"),
        ("GET", "/static/x"),
        ("POST", "/health"),
        ("OPTIONS", "/api/stats"),
        ("GET", "//"),
    ],
)
def test_a_stranger_does_not_learn_what_is_served(face: Face, method: str, path: str) -> None:
    """Unknown routes and wrong methods look to a stranger like all others."""
    assert face.stranger.open(path, method=method).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": KEY},
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bearer  {KEY}"},
        {"X-API-Key": "wrong", "Authorization": f"Bearer {KEY}"},
        {"X-API-Key": KEY, "Authorization": "Basic Zm9vOmJhcg=="},
    ],
)
def test_a_right_key_opens_in_either_header(face: Face, headers: dict[str, str]) -> None:
    """The key is taken from X-API-Key or as a bearer token."""
    assert face.stranger.get("/api/stats", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": KEY[:-1]},
        {"X-API-Key": KEY.upper()},
        {"X-API-Key": "k\xe9y"},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"X-API-Key": ""},
    ],
)
def test_a_wrong_key_does_not_open(face: Face, headers: dict[str, str]) -> None:
    """Near misses, other schemes, empty and non-ASCII keys are refused."""
    assert face.stranger.get("/api/stats", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("headers", "forwarded"),
    [
        ({"X-API-Key": KEY}, []),
        ({"X-API-Key": KEY, "Authorization": "Bearer user.jwt"}, ["user.jwt"]),
        ({"X-API-Key": KEY, "Authorization": "Bearer "}, []),
        ({"X-API-Key": KEY, "Authorization": "Basic user.jwt"}, []),
        ({"X-API-Key": KEY, "Authorization": f"Bearer {KEY}"}, []),
        ({"Authorization": f"Bearer {KEY}"}, []),
    ],
)
def test_the_users_token_is_handed_on_and_our_own_key_never(
    face: Face, headers: dict[str, str], forwarded: list[str]
) -> None:
    """A bearer beside the key is the user's; a bearer that is our own key stays here."""
    face.stranger.post("/api/containers/spawn", json=spawn_body(), headers=headers)
    assert len(face.servers.running) == 1
    assert face.servers.tokens == forwarded


def test_each_change_hands_the_users_token_on(face: Face) -> None:
    """Whatever can call the instance manager does it in the user's name."""
    face.spawn()
    changes = [
        ("POST", "/api/containers/start", {"serverId": SERVER_ID}),
        ("POST", "/api/containers/stop", {"serverId": SERVER_ID}),
        ("POST", "/api/containers/restart", {"serverId": SERVER_ID}),
        ("POST", f"/api/rathole/clients/{SERVER_ID}/configure", {"clientConfig": ""}),
        ("POST", f"/api/rathole/clients/{SERVER_ID}/start", {"gamePort": 30012, "beaconPort": 30013}),
        ("POST", f"/api/rathole/clients/{SERVER_ID}/stop", None),
        ("DELETE", f"/api/containers/{SERVER_ID}/delete", None),
    ]
    for number, (method, path, body) in enumerate(changes):
        answer = face.call(method, path, json=body, headers={"Authorization": f"Bearer user-{number}"})
        assert answer.status_code == 200, path
    assert face.servers.tokens == [f"user-{number}" for number in range(len(changes))]


def test_a_trusted_address_needs_no_key_and_may_bring_a_users_token(face: Face) -> None:
    """The orchestrator in the field has no key: it is known by its address, and sends its user's token."""
    face.trust.addresses = {"10.1.2.3"}
    sent = {"json": spawn_body(), "headers": {"Authorization": "Bearer user.jwt"}}
    assert (
        face.stranger.post("/api/containers/spawn", **sent, environ_base={"REMOTE_ADDR": "10.1.2.4"}).status_code == 401
    )
    assert (
        face.stranger.post("/api/containers/spawn", **sent, environ_base={"REMOTE_ADDR": "10.1.2.3"}).status_code == 200
    )
    assert face.servers.tokens == ["user.jwt"]


def test_a_forwarded_address_counts_for_nothing(face: Face) -> None:
    """Anyone can write X-Forwarded-For, so nobody is let in by it."""
    face.trust.addresses = {"10.1.2.3"}
    headers = {"X-Forwarded-For": "10.1.2.3", "X-Real-IP": "10.1.2.3", "Forwarded": "for=10.1.2.3"}
    assert face.stranger.get("/api/stats", headers=headers).status_code == 401


def test_guessing_is_answered_with_429_and_a_right_key_passes_all_the_same(face: Face) -> None:
    """After ten wrong keys the address is told to wait; a right key passes, a missing one is still 401."""
    statuses = [face.call("GET", "/api/stats", key="guess").status_code for _ in range(WRONG_KEYS + 2)]
    assert statuses == [401] * WRONG_KEYS + [429] * 2
    refused = face.call("GET", "/api/stats", key="guess")
    assert refused.json["code"] == "too_many_wrong_keys"
    assert 0 < int(refused.headers["Retry-After"]) <= WINDOW
    assert face.get("/api/stats").status_code == 200
    assert face.stranger.get("/api/stats").status_code == 401


def test_guessing_from_one_address_does_not_shut_out_another(face: Face) -> None:
    """Addresses are counted apart."""
    for _ in range(WRONG_KEYS + 1):
        face.call("GET", "/api/stats", key="guess")
    elsewhere = face.call("GET", "/api/stats", key="guess", environ_base={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 401


def test_a_wrong_bearer_counts_as_a_wrong_key(face: Face) -> None:
    """Both headers are guarded by one count."""
    for _ in range(WRONG_KEYS):
        face.stranger.get("/api/stats", headers={"Authorization": "Bearer guess"})
    assert face.call("GET", "/api/stats", key="guess").status_code == 429


def test_a_missing_key_never_counts(face: Face) -> None:
    """Behind a proxy all share one address, so the forgetful do not shut out the others."""
    statuses = {face.stranger.get("/api/stats").status_code for _ in range(3 * WRONG_KEYS)}
    assert statuses == {401}


def test_the_count_is_forgotten_after_a_minute(face: Face) -> None:
    """Once the window has passed a wrong key is 401 again."""
    for _ in range(WRONG_KEYS):
        face.call("GET", "/api/stats", key="guess")
    face.now += WINDOW - 1
    assert face.call("GET", "/api/stats", key="guess").status_code == 429
    face.now += 1
    assert face.call("GET", "/api/stats", key="guess").status_code == 401


def test_the_count_takes_bounded_memory() -> None:
    """However many addresses guess, only the latest are remembered."""
    wrong = WrongKeys(clock=lambda: 0.0)
    for number in range(3 * MAX_ADDRESSES):
        wrong.count(f"address-{number}")
    assert len(wrong._seen) == MAX_ADDRESSES
    for _ in range(1000):
        wrong.count("one")
    assert len(wrong._seen["one"]) == WRONG_KEYS


def test_keys_and_tokens_stand_in_no_answer_and_no_log() -> None:
    """What was sent as a key, right or wrong, is nowhere to be read afterwards."""
    face = make_face()
    with capture_logs() as lines:
        for _ in range(WRONG_KEYS + 1):
            refused = face.call("GET", "/api/stats", key="marked-guess", headers={"Authorization": "Bearer marked-jwt"})
        face.servers.fault = RuntimeError("boom")
        failed = face.call("GET", "/api/stats", headers={"Authorization": "Bearer marked-jwt"})
    text = f"{lines}{refused.text}{refused.headers}{failed.text}{failed.headers}"
    assert "refused a wrong key" in text
    for secret in (KEY, "marked-guess", "marked-jwt"):
        assert secret not in text
