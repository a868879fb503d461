"""The engine's border, against an HTTP server on a unix socket that misbehaves as told."""

import gc
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from compose.engine import Engine
from core.errors import ComposeFailed, DeadlinePassed, DockerUnavailable, NotFound

# The SDK leaves the socket of a failed connection to the garbage collector; `collected` has it come here.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.12"}
HANG = "hang"


class FakeEngine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers each path with what a test put there; unknown ones with 404, as Docker does."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), _Handler)
        self.url = f"unix://{path}"
        self.answers: dict[str, tuple[int, Any]] = {"/version": (200, VERSION)}
        self.paths: list[str] = []
        self.released = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: FakeEngine
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer by the path alone."""
        path = self.path.partition("?")[0]
        self.server.paths.append(path)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, body = self.server.answers.get(path, (404, {"message": "No such thing"}))
        if body == HANG:
            self.server.released.wait(30)
            self.close_connection = True
            return
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def __getattr__(self, name: str) -> object:
        """Serve every method alike."""
        if name.startswith("do_"):
            return self.do_GET
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Collect garbage where its warnings are expected, not in somebody else's test."""
    yield
    gc.collect()


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeEngine]:
    """Serve a fake engine."""
    server = FakeEngine(tmp_path / "docker.sock")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


def serve_networks(fake: FakeEngine, names: dict[str, str]) -> None:
    """Let the fake have networks: name by id, made in the order of their ids."""
    listed = [{"Id": key, "Name": name, "Created": key} for key, name in names.items()]
    more: dict[str, Any] = {"Labels": {}, "IPAM": {"Config": []}, "Containers": {}}
    fake.answers["/v1.41/networks"] = (200, listed)
    fake.answers |= {f"/v1.41/networks/{entry['Id']}": (200, entry | more) for entry in listed}


def test_an_engine_that_is_away() -> None:
    """No socket is a sentence of the family that becomes 503."""
    with pytest.raises(DockerUnavailable) as caught:
        Engine("unix:///nowhere/docker.sock").ping()
    assert caught.value.code == "docker_unavailable"


def test_an_engine_that_comes_back_is_used_again(tmp_path: Path, fake: FakeEngine) -> None:
    """A failed first contact is not remembered: no restart of the agent is needed."""
    engine = Engine(f"unix://{tmp_path}/later.sock")
    with pytest.raises(DockerUnavailable):
        engine.ping()
    (tmp_path / "later.sock").symlink_to(tmp_path / "docker.sock")
    fake.answers["/_ping"] = (200, "OK")
    engine.ping()


def test_a_frozen_engine_is_noticed_at_the_deadline(fake: FakeEngine) -> None:
    """One that takes connections and never answers holds nobody up for longer than the deadline."""
    fake.answers["/v1.41/containers/srv_a/json"] = (200, HANG)
    before = time.monotonic()
    with pytest.raises(DockerUnavailable) as caught:
        Engine(fake.url, timeout=0.3).container("srv_a")
    assert caught.value.code == "docker_silent"
    assert time.monotonic() - before < 3


def test_a_frozen_engine_ends_the_wait_for_events(fake: FakeEngine) -> None:
    """The SDK sets no deadline for events; without ours the loop would listen to silence for ever."""
    fake.answers["/v1.41/events"] = (200, HANG)
    with pytest.raises(DockerUnavailable):
        list(Engine(fake.url, timeout=0.2).events(0, seconds=0.2))


def test_a_pull_without_progress_is_given_up(fake: FakeEngine) -> None:
    """A stalled registry does not hold a spawn up for ever."""
    fake.answers["/v1.41/images/create"] = (200, HANG)
    with pytest.raises(DeadlinePassed) as caught:
        Engine(fake.url).pull("game:v1", stalled_after=0.3)
    assert caught.value.code == "pull_stalled"


def test_what_is_not_there_is_none(fake: FakeEngine) -> None:
    """A container that does not exist is an answer, not a failure."""
    assert Engine(fake.url).container("srv_a") is None


def test_an_action_on_what_is_not_there_is_told(fake: FakeEngine) -> None:
    """The engine's own words are in the sentence."""
    with pytest.raises(NotFound) as caught:
        Engine(fake.url).kill("srv_a")
    assert "No such thing" in caught.value.message


def test_a_refusal_is_classified(fake: FakeEngine) -> None:
    """The same table serves the engine's errors and those of Compose."""
    fake.answers["/v1.41/networks/create"] = (500, {"message": "write: no space left on device"})
    with pytest.raises(ComposeFailed) as caught:
        Engine(fake.url).create_network("x", {})
    assert caught.value.code == "no_space"


def test_a_network_that_another_made_meanwhile_is_fine(fake: FakeEngine) -> None:
    """Docker answers 409; the caller looks again anyway."""
    fake.answers["/v1.41/networks/create"] = (409, {"message": "network with name x already exists"})
    Engine(fake.url).create_network("x", {})


def test_removing_a_network_that_is_gone_is_fine(fake: FakeEngine) -> None:
    """What was to be removed is not there."""
    Engine(fake.url).remove_network("n1")


def test_a_newer_engine_is_spoken_to_in_its_oldest_version(fake: FakeEngine) -> None:
    """Engine 29 refuses what 20.10 speaks."""
    fake.answers |= {
        "/version": (200, {"ApiVersion": "1.52", "MinAPIVersion": "1.44"}),
        "/v1.44/containers/srv_a/json": (404, {"message": "No such container"}),
    }
    assert Engine(fake.url).container("srv_a") is None
    assert "/v1.44/containers/srv_a/json" in fake.paths


def test_networks_are_matched_by_the_whole_name(fake: FakeEngine) -> None:
    """Docker's filter finds names that merely contain the word."""
    serve_networks(fake, {"n1": "satis_network", "n2": "satis_network_2"})
    assert [found.id for found in Engine(fake.url).networks("satis_network")] == ["n1"]


def test_all_networks_are_told_the_oldest_first(fake: FakeEngine) -> None:
    """The trust rules look at each one's gateway."""
    serve_networks(fake, {"n2": "younger", "n1": "older"})
    assert [found.name for found in Engine(fake.url).all_networks()] == ["older", "younger"]


def test_a_network_that_goes_while_we_look_is_left_out(fake: FakeEngine) -> None:
    """It was listed and is gone: no failure, it is just not there."""
    serve_networks(fake, {"n1": "stays", "n2": "goes"})
    del fake.answers["/v1.41/networks/n2"]
    assert [found.name for found in Engine(fake.url).all_networks()] == ["stays"]


def test_the_own_container_is_read_from_the_mounts(tmp_path: Path) -> None:
    """Docker mounts /etc/hostname out of a folder that has the container's id as its name."""
    key = "f" * 64
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 2 0:1 / / rw - overlay overlay rw\n"
        f"3 1 8:1 /var/lib/docker/containers/{key}/hostname /etc/hostname rw - ext4 /dev/sda rw\n"
    )
    assert Engine.own_container(table) == key


def test_a_host_is_not_taken_for_its_containers(tmp_path: Path) -> None:
    """The table of a host that runs Docker names the containers' folders, too."""
    table = tmp_path / "mountinfo"
    table.write_text(f"3 1 0:4 / /var/lib/docker/containers/{'f' * 64}/mounts/shm rw - tmpfs shm rw\n")
    assert Engine.own_container(table) is None
