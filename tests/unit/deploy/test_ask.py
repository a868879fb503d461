"""The command by which the health check and the deploy script ask the agent."""

import io
import json
import sys
from types import SimpleNamespace

import pytest
from pytest_httpserver import HTTPServer

from scripts.image.ask import ask, main

KEY = "0123456789abcdef"


@pytest.fixture(autouse=True)
def _agent(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOST_AGENT_PORT", str(httpserver.port))
    monkeypatch.setenv("HOST_AGENT_API_KEY", KEY)
    monkeypatch.delenv("HOST_AGENT_TLS_CERT", raising=False)


def test_a_good_answer_is_exit_code_0(httpserver: HTTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The body goes to stdout, for the caller to read."""
    httpserver.expect_request("/readyz").respond_with_json({"status": "ok"})
    assert main(["GET", "/readyz"]) == 0
    assert json.loads(capsys.readouterr().out) == {"status": "ok"}


@pytest.mark.parametrize("status", [301, 401, 422, 503])
def test_any_other_answer_is_exit_code_1(
    httpserver: HTTPServer, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    """What the agent says about it is shown all the same: it is the reason."""
    httpserver.expect_request("/readyz").respond_with_json({"message": "Docker is away"}, status=status)
    assert main(["GET", "/readyz"]) == 1
    assert "Docker is away" in capsys.readouterr().out


def test_the_key_goes_with_the_request_and_nowhere_else(
    httpserver: HTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key comes from the environment; it is in no argument and no output."""
    httpserver.expect_request("/x", headers={"X-API-Key": KEY}).respond_with_json({})
    assert main(["GET", "/x"]) == 0
    assert KEY not in "".join(capsys.readouterr())


def test_a_body_is_sent_as_json(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A POST carries what stands on stdin."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'{"serverId": "a1"}')))
    httpserver.expect_request(
        "/api/containers/spawn", method="POST", json={"serverId": "a1"}, headers={"Content-Type": "application/json"}
    ).respond_with_json({})
    assert main(["POST", "/api/containers/spawn", "10"]) == 0


def test_nobody_there_is_a_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A refused connection is exit code 1 and no traceback."""
    monkeypatch.setenv("HOST_AGENT_PORT", "1")
    assert main(["GET", "/healthz"]) == 1
    assert "does not answer GET /healthz" in capsys.readouterr().err


def test_with_a_certificate_it_speaks_tls(httpserver: HTTPServer) -> None:
    """Where the agent serves HTTPS, plain HTTP would be refused: the handshake is what is sent."""
    environ = {"HOST_AGENT_PORT": str(httpserver.port), "HOST_AGENT_TLS_CERT": "/data/tls/cert.pem"}
    with pytest.raises(OSError, match=r"SSL|reset|EOF"):
        ask("GET", "/healthz", b"", environ, 2)
