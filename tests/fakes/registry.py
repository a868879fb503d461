"""A registry with one image; Docker speaks plain HTTP to loopback.

`python -m tests.fakes.registry ARCHIVE PORT` serves the one that `docker save` wrote.
"""

import hashlib
import io
import json
import sys
import tarfile
import uuid
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass(frozen=True)
class Image:
    """What an image is made of: its config as JSON, and its layers as tar archives, none of them compressed."""

    config: bytes
    layers: list[bytes]

    def manifest(self) -> bytes:
        """Return what names all of it."""
        entries = [_entry("application/vnd.docker.image.rootfs.diff.tar", layer) for layer in self.layers]
        config = _entry("application/vnd.docker.container.image.v1+json", self.config)
        return _json({"schemaVersion": 2, "mediaType": _MANIFEST, "config": config, "layers": entries})


def smallest_image() -> Image:
    """Return one of one layer of one empty file, whose name nobody has seen."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(uuid.uuid4().hex))
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer.getvalue())]},
        "history": [{"created_by": "a test"}],
    }
    return Image(_json(config), [layer.getvalue()])


def saved_image(archive: Path) -> Image:
    """Return the one that `docker save` wrote."""
    with tarfile.open(archive) as saved:

        def read(name: str) -> bytes:
            file = saved.extractfile(name)
            assert file, name
            return file.read()

        (entry,) = json.loads(read("manifest.json"))
        return Image(read(entry["Config"]), [read(layer) for layer in entry["Layers"]])


class Registry(ThreadingHTTPServer):
    """Serves one image, whatever the name that it is asked for.

    Args:
        image: what to serve.
        port: where; by default one that is free.
    """

    daemon_threads = True

    def __init__(self, image: Image, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        manifest = image.manifest()
        self.blobs = {_digest(blob): blob for blob in (image.config, manifest, *image.layers)}
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
        self.send_header("Content-Type", _MANIFEST if "/manifests/" in self.path else "application/octet-stream")
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


if __name__ == "__main__":
    Registry(saved_image(Path(sys.argv[1])), int(sys.argv[2])).serve_forever()
