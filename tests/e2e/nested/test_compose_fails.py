"""`docker compose` hangs or is slow: it is killed at its deadline, with all that it started, and the answer says so."""

from tests.e2e.nested.conftest import Spawn
from tests.e2e.nested.host import AGENT, COMPOSE_TIMEOUT, Host


def test_a_hung_compose_is_killed_at_its_deadline(host: Host, plan: Spawn) -> None:
    """Neither it nor its child is left, nor anything of the server; asked again, it comes about."""
    game = plan()
    host.bend_compose(game.id, "trap '' TERM; sleep 654 & sleep 654")
    answer = game.spawn(timeout=COMPOSE_TIMEOUT + 20)
    assert (answer.status_code, answer.json()["code"]) == (504, "deadline_passed")
    assert f"`docker compose` did not end within {COMPOSE_TIMEOUT} s" in answer.json()["message"]
    assert "sleep 654" not in host.engine.docker("top", AGENT, "-o", "pid,args")
    assert game.files() == []
    assert host.call("GET", f"/api/containers/{game.id}/status").status_code == 404
    host.mend_compose()
    assert game.spawn().status_code == 200
    assert host.is_running(game.id)


def test_a_slow_compose_is_waited_for(host: Host, plan: Spawn) -> None:
    """Within its deadline it may take its time."""
    game = plan()
    host.bend_compose(game.id, "sleep 4")
    assert game.spawn().status_code == 200
    assert host.is_running(game.id)
