"""The agent dies right behind what a host sees once, whatever the number of its servers: the network, the image.

What is of one server is walked in tests/e2e/test_failpoints.py.
"""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from compose.engine import Engine
from compose.network import ensure_network
from core.failpoints import Failpoint

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DIED = 137


def die_at(point: Failpoint, code: str) -> int:
    """Run a piece of the agent that is to die at a point; return its exit code."""
    argv = [sys.executable, "-c", f"from compose.engine import Engine\n{code}"]
    return subprocess.run(argv, cwd=ROOT, env={"FAILPOINT": point}, check=False, timeout=60).returncode


def docker(*words: str) -> None:
    """Clean up with Docker's own program."""
    argv = ["docker", *words]
    subprocess.run(argv, capture_output=True, check=False, timeout=60)


@pytest.fixture
def name() -> Iterator[str]:
    """Return the name of a network, which is removed afterwards."""
    mine = f"satis_t_{uuid.uuid4().hex[:8]}"
    yield mine
    docker("rm", "--force", mine)
    docker("network", "rm", mine)


def test_a_network_made_by_an_agent_that_died_is_used(name: str) -> None:
    """The next one finds it and makes no twin, though Docker would let it."""
    code = f"from compose.network import ensure_network\nensure_network(Engine(), {name!r})"
    assert die_at(Failpoint.NETWORK_MADE, code) == DIED
    assert die_at(Failpoint.NETWORK_MADE, code) == 0
    assert len(Engine().networks(name)) == 1


def test_a_container_joined_by_an_agent_that_died_is_a_member(name: str) -> None:
    """The next one sees it there and joins nothing twice."""
    engine = Engine()
    network = ensure_network(engine, name)
    docker("run", "--detach", "--name", name, "satis-base:trixie", "sleep", "60")
    container = engine.container(name)
    assert container
    code = f"""
from compose.network import ensure_member, ensure_network
engine = Engine()
ensure_member(engine, ensure_network(engine, {name!r}), {container.id!r}, 'alias')"""
    assert die_at(Failpoint.NETWORK_JOINED, code) == DIED
    assert die_at(Failpoint.NETWORK_JOINED, code) == 0
    joined = engine.container(name)
    assert joined
    assert joined.network_ids[name] == network.id


class Registry(ThreadingHTTPServer):
    """A registry with one image of one layer of one file; Docker speaks plain HTTP to loopback."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as archive:
            archive.addfile(tarfile.TarInfo(uuid.uuid4().hex))
        layer_digest = _digest(layer.getvalue())
        config = _json(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
                "history": [{"created_by": "a test"}],
            }
        )
        manifest = _json(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": _entry("application/vnd.docker.container.image.v1+json", config),
                "layers": [_entry("application/vnd.docker.image.rootfs.diff.tar", layer.getvalue())],
            }
        )
        self.blobs = {_digest(blob): blob for blob in (layer.getvalue(), config, manifest)}
        self.blobs["latest"] = manifest

    @property
    def image(self) -> str:
        """What to pull."""
        return f"127.0.0.1:{self.server_port}/satis-test:latest"


class _Handler(BaseHTTPRequestHandler):
    server: Registry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer by the last part of the path: a digest, the tag, or nothing."""
        key = self.path.rpartition("/")[2]
        blob = self.server.blobs.get(key, b"{}")
        self.send_response(200)
        self.send_header("Content-Type", MANIFEST if "/manifests/" in self.path else "application/octet-stream")
        self.send_header("Content-Length", str(len(blob)))
        self.send_header("Docker-Content-Digest", _digest(blob))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(blob)

    do_HEAD = do_GET  # noqa: N815 - the library's name for it

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _entry(kind: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": kind, "size": len(blob), "digest": _digest(blob)}


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Yield a registry that runs; its image is removed afterwards."""
    server = Registry()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
    docker("image", "rm", server.image)


def test_an_image_pulled_by_an_agent_that_died_is_there(registry: Registry) -> None:
    """The next one need not pull it; a pull that was cut off would simply be begun again."""
    assert not Engine().image_present(registry.image)
    assert die_at(Failpoint.IMAGE_PULLED, f"Engine().pull({registry.image!r})") == DIED
    assert Engine().image_present(registry.image)
