"""A server's row as a file beside its data: what a lost store is built from again."""

import json
from pathlib import Path
from typing import Any

from core.errors import StoreFailed
from core.failpoints import Failpoint, reached
from core.files import make_private_directory, write_atomic
from core.models import Ports, ServerSpec
from core.servers import Server

# The wishes, and what only the manager could tell; what else a row holds is found anew by looking.
_COLUMNS = (
    "container_wanted",
    "tunnel_wanted",
    "deleting",
    "stopped_externally",
    "crashed",
    "public_host",
    "client_config",
    "last_crash",
    "created_at",
)


def keep_record(path: Path, server: Server) -> None:
    """Bring the file up to date; that of a server which is being deleted is not made anew.

    Raises:
        StoreFailed: it cannot be written, and the server is to stay: a delete makes room on a full disk.
    """
    text = _text(server)
    before = path.read_bytes() if path.exists() else None
    if before == text.encode() or (before is None and server.deleting):
        return
    try:
        make_private_directory(path.parent)
        write_atomic(path, text)
    except StoreFailed:
        if server.deleting:
            return
        raise
    reached(Failpoint.RECORD_WRITTEN)


def read_record(path: Path) -> Server:
    """Return the server that a file tells of.

    Raises:
        StoreFailed: it is none that the agent has written.
    """
    try:
        return _server(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        # Not the error's own text: pydantic's would repeat what stands in the file, which holds secrets.
        raise StoreFailed("record_damaged", f"{path} cannot be used: {type(error).__name__}.") from None


def _text(server: Server) -> str:
    public = server.public_ports
    row: dict[str, Any] = {
        "spec": json.loads(server.spec.to_json()),
        "public_ports": [public.game, public.beacon] if public else None,
    }
    return json.dumps(row | {name: getattr(server, name) for name in _COLUMNS}, indent=2) + "\n"


def _server(row: dict[str, Any]) -> Server:
    return Server(
        spec=ServerSpec.model_validate_json(json.dumps(row["spec"])),
        public_ports=Ports(*row["public_ports"]) if row["public_ports"] else None,
        restart_from=None,
        bounced_for=None,
        failure_code=None,
        failure_message=None,
        deaths=None,
        **{name: row[name] for name in _COLUMNS},
    )
