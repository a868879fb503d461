"""The wiring: everything is built, nothing is started."""

import gc
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

import agent
from core.models import Ports, ServerSpec
from core.settings import Settings, load_settings

KEY = "0123456789abcdef"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with a data directory of their own."""
    return load_settings({"NODE_ID": "node-1", "HOST_AGENT_API_KEY": KEY, "SATIS_DATA_DIR": str(tmp_path / "data")})


def descriptors() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_an_app_starts_nothing(settings: Settings) -> None:
    """No thread, and no lock on the data directory: whoever serves it starts the rest."""
    before = threading.active_count()
    app = agent.create_app(settings)
    assert threading.active_count() == before
    assert not (settings.satis_data_dir / "agent" / "lock").exists()
    assert not any(loop.exists for loop in app.extensions["runtime"].alive().values())


def test_an_app_answers_before_it_is_started(settings: Settings) -> None:
    """Health is there; readiness says what is missing."""
    client = agent.create_app(settings).test_client()
    assert client.get("/api/health").json["nodeId"] == "node-1"
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["code"]) == (503, "not_owner")
    listed = client.get("/api/containers", headers={"X-API-Key": KEY})
    assert listed.status_code == 200


def test_many_apps_leave_no_files_open(settings: Settings) -> None:
    """A test suite, or a reloader, may build as many as it likes."""
    gc.collect()
    before = descriptors()
    for _ in range(20):
        agent.create_app(settings)
    gc.collect()
    assert descriptors() <= before


def test_a_damaged_store_does_not_end_the_agent(settings: Settings) -> None:
    """It goes on saying what is wrong, and the file is kept."""
    database = settings.satis_data_dir / "agent" / "agent.db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"not a database" * 1000)
    app = agent.create_app(settings)
    answer = app.test_client().get("/api/containers", headers={"X-API-Key": KEY})
    assert (answer.status_code, answer.json["code"]) == (503, "store_failed")
    assert database.read_bytes().startswith(b"not a database")


def test_the_names_that_the_documents_speak_of(tmp_path: Path) -> None:
    """Both are importable from the agent, and do what they say."""
    spec = ServerSpec(server_id="srv_a", server_name="A", game_port=30000, beacon_port=31000)
    document = agent.generate_docker_compose_config(
        spec, spec.ports, image="image", data_path=tmp_path, publish_ports=False
    )
    assert document["services"]["srv_a"]["container_name"] == "srv_a"
    text = agent.generate_rathole_client_config("srv_a", Ports(30000, 31000), "vps.example.org", 20000, "t0ken")
    assert 'local_addr = "srv_a:30000"' in text


class _Agent(BaseHTTPRequestHandler):
    """An agent that runs, and answers to a stop of all games."""

    seen: list[tuple[str, str | None]]
    status = 200
    body = b'{"message": "All games are stopped."}'

    def do_POST(self) -> None:
        """Note the call, and say how it went."""
        type(self).seen.append((self.path, self.headers["X-API-Key"]))
        self.send_response(type(self).status)
        self.send_header("Content-Length", str(len(type(self).body)))
        self.end_headers()
        self.wfile.write(type(self).body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def running(settings: Settings) -> Iterator[tuple[type[_Agent], Settings]]:
    """Return an agent that listens, and settings that lead to it."""
    handler = type("Handler", (_Agent,), {"seen": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield handler, settings.model_copy(update={"host_agent_port": server.server_port})
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (504, 1)])
def test_stop_games_asks_the_agent_that_runs(
    running: tuple[type[_Agent], Settings], capsys: pytest.CaptureFixture[str], status: int, code: int
) -> None:
    """With the key; it says what came of it, and its exit code does."""
    handler, settings = running
    handler.status = status
    assert agent.stop_games(settings) == code
    assert handler.seen == [("/api/containers/stop-all", KEY)]
    assert capsys.readouterr().out == "All games are stopped.\n"


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", b"", b"[]", b'"stopped"', b'{"status": "success"}'])
def test_stop_games_does_not_believe_what_is_no_agent(
    running: tuple[type[_Agent], Settings], capsys: pytest.CaptureFixture[str], body: bytes
) -> None:
    """Something else on the port, or a proxy before it, is named in a sentence, even where it says 200."""
    handler, settings = running
    handler.body = body
    assert agent.stop_games(settings) == 1
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"What answers on port {settings.host_agent_port} (200) is no agent.\n")


def test_stop_games_without_an_agent_says_so(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody listens there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert agent.stop_games(settings.model_copy(update={"host_agent_port": port})) == 1
    assert f"The agent on port {port} does not answer" in capsys.readouterr().err


@pytest.fixture
def dotenv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the agent's `.env` would be, in an environment that holds nothing else."""
    monkeypatch.setattr(agent, "__file__", str(tmp_path / "agent.py"))
    monkeypatch.setattr(os, "environ", {"MAX_SERVERS": "3"})
    return tmp_path / ".env"


def test_settings_come_from_the_file_beside_the_agent_and_the_environment_wins(dotenv: Path) -> None:
    """`python agent.py` in a checkout is set as the container is, by its `.env`."""
    dotenv.write_text(f"HOST_AGENT_API_KEY={KEY}\nNODE_ID=of-the-file\nMAX_SERVERS=7\n")
    settings = agent.settings_from_here()
    assert (settings.node_id, settings.max_servers) == ("of-the-file", 3)
    assert settings.host_agent_api_key.get_secret_value() == KEY


@pytest.mark.parametrize("word", ["stop-games", "recover"])
def test_a_command_with_wrong_settings_names_them(dotenv: Path, capsys: pytest.CaptureFixture[str], word: str) -> None:
    """Exit code 2 as at the agent's start, and a line for each fault."""
    dotenv.write_text("HOST_AGENT_PORT=eighty\n")
    assert agent.main([word]) == 2
    said = capsys.readouterr().err
    assert "HOST_AGENT_PORT: " in said
    assert "HOST_AGENT_API_KEY is not set; see .env.example." in said


def test_an_unknown_word_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The usage says which there are."""
    assert agent.main(["dance"]) == 2
    assert "stop-games" in capsys.readouterr().err
