"""With which token the instance manager's client presents itself."""

import pytest

from core.errors import ManagerFailed
from tests.fakes.manager import FakeManager
from tests.unit.rathole.conftest import ACCESS, ID, PORTS, TOKEN, USER, client_of


@pytest.mark.parametrize("user", [USER, None])
@pytest.mark.parametrize("access", [ACCESS, ""])
@pytest.mark.parametrize("legacy", ["true", "false"])
def test_the_first_token_of_the_order_is_sent_and_no_other(
    fake: FakeManager, user: str | None, access: str, legacy: str
) -> None:
    """The user's, else ACCESS_TOKEN, else RATHOLE_TOKEN; the last alone also inside the request, where allowed."""
    client = client_of(fake, RATHOLE_TOKEN=TOKEN, ACCESS_TOKEN=access, LEGACY_AUTH_ENABLED=legacy)
    client.create(ID, PORTS, user)
    client.client_config(ID, user)
    client.delete(ID, user)

    bearer = user or access
    inside = TOKEN if not bearer and legacy == "true" else None
    for seen in fake.seen:
        assert seen.headers.get("Authorization") == (f"Bearer {bearer}" if bearer else None)
        assert seen.headers.get("X-API-Token") == (None if bearer else TOKEN)
        assert (seen.body if seen.method == "POST" else seen.query).get("token") == inside


@pytest.mark.parametrize("method", ["get", "client_config", "delete"])
@pytest.mark.parametrize(("access", "sent"), [(ACCESS, f"Bearer {ACCESS}"), ("", None)])
def test_a_manager_that_does_not_know_the_user_is_asked_as_the_agent(
    fake: FakeManager, method: str, access: str, sent: str | None
) -> None:
    """Once, with the first of its own tokens, after 401; the two are never in one request."""
    fake.say(401, {"error": "Present RATHOLE_TOKEN."})

    getattr(client_of(fake, RATHOLE_TOKEN=TOKEN, ACCESS_TOKEN=access), method)(ID, USER)

    assert [seen.headers.get("Authorization") for seen in fake.seen] == [f"Bearer {USER}", sent]
    assert [seen.query.get("token") for seen in fake.seen] == [None, None if access else TOKEN]


def test_a_create_for_a_user_that_the_manager_does_not_know_is_repeated(fake: FakeManager) -> None:
    """What was asked for is asked for again, with the token where managers of the first generation want it."""
    fake.say(401, {"error": "Present RATHOLE_TOKEN."})

    instance = client_of(fake, RATHOLE_TOKEN=TOKEN).create(ID, PORTS, USER)

    assert instance.running
    assert fake.seen[1].body == {**fake.seen[0].body, "token": TOKEN}


@pytest.mark.parametrize(
    ("status", "tokens", "asked"),
    [(401, {"RATHOLE_TOKEN": TOKEN}, 2), (401, {}, 1), (403, {"RATHOLE_TOKEN": TOKEN}, 1)],
)
def test_a_refusal_that_stays_is_the_answer(fake: FakeManager, status: int, tokens: dict[str, str], asked: int) -> None:
    """No third try, none without a token of our own, and none for an instance of somebody else's."""
    for _ in range(2):
        fake.say(status, {"error": "no"})

    with pytest.raises(ManagerFailed) as failed:
        client_of(fake, **tokens).create(ID, PORTS, USER)

    assert failed.value.code == {401: "auth_refused", 403: "manager_refused"}[status]
    assert len(fake.seen) == asked


def test_without_any_token_none_is_sent(fake: FakeManager) -> None:
    """A manager without authentication is served as well."""
    client_of(fake).create(ID, PORTS)

    assert not {"Authorization", "X-API-Token"} & set(fake.seen[0].headers)
    assert "token" not in fake.seen[0].body
