"""What the deploy script says at its end of the way that players come."""

import pytest
from pytest_httpserver import HTTPServer

from scripts.image.tunnels import main

INSTANCE = "/api/instances/srv_deploy_check"
TOKEN = "0123456789abcdef"


@pytest.fixture(autouse=True)
def _settings(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent with a manager, which is this test's."""
    monkeypatch.setenv("HOST_AGENT_API_KEY", "fedcba9876543210")
    monkeypatch.setenv("RATHOLE_INSTANCE_MANAGER_HOST", "127.0.0.1")
    monkeypatch.setenv("RATHOLE_INSTANCE_MANAGER_PORT", str(httpserver.port))
    monkeypatch.setenv("RATHOLE_TOKEN", TOKEN)


def test_a_manager_that_takes_the_token_is_named(httpserver: HTTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    """It knows no such server: that is the answer of one that was asked with the right token."""
    httpserver.expect_request(INSTANCE, headers={"X-API-Token": TOKEN}).respond_with_json({}, status=404)
    assert main() == 0
    assert capsys.readouterr().out == f"Tunnels: by the manager at http://127.0.0.1:{httpserver.port}\n"


@pytest.mark.parametrize(
    ("status", "setting"), [(401, "RATHOLE_TOKEN"), (403, "RATHOLE_TOKEN"), (500, "RATHOLE_INSTANCE_MANAGER_PREFIX")]
)
def test_a_manager_that_refuses_is_a_warning(
    httpserver: HTTPServer, capsys: pytest.CaptureFixture[str], status: int, setting: str
) -> None:
    """It names what to set, and no secret."""
    httpserver.expect_request(INSTANCE).respond_with_json({"message": f"not with {TOKEN}"}, status=status)
    assert main() == 1
    said = capsys.readouterr().out
    assert "Warning: " in said
    assert setting in said.split("Warning: ")[1]
    assert TOKEN not in said


def test_a_manager_that_is_away_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody listens at port 1: where the manager would be is what to look at."""
    monkeypatch.setenv("RATHOLE_INSTANCE_MANAGER_PORT", "1")
    assert main() == 1
    assert "RATHOLE_INSTANCE_MANAGER_HOST" in capsys.readouterr().out


@pytest.mark.parametrize(("published", "says"), [("", "published on this host"), ("false", "players reach no game")])
def test_without_a_manager_it_is_said_where_the_ports_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], published: str, says: str
) -> None:
    """Nobody is asked then."""
    monkeypatch.setenv("RATHOLE_INSTANCE_MANAGER_HOST", "")
    monkeypatch.setenv("PUBLISH_PORTS", published)
    assert main() == 0
    assert says in capsys.readouterr().out
