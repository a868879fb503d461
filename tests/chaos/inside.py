"""Runs in the agent's container: prints all that there is of servers, and what the manager has of them, as JSON."""

import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import psutil
import requests

ROOT = Path(os.environ["SATIS_DATA_DIR"])
MANAGER = f"http://{os.environ['RATHOLE_INSTANCE_MANAGER_HOST']}:7001"
SPOILT, MARK = sys.argv[1:]  # what a fault writes into a file, and the file that each new server is given

store = sqlite3.connect(f"file:{ROOT}/agent/agent.db?mode=ro", uri=True)


def rows(query: str) -> list[list[Any]]:
    """Return what the store says."""
    return [list(row) for row in store.execute(query)]


def folders(below: str) -> list[str]:
    """Return the names in a folder of the data directory."""
    return sorted(entry.name for entry in (ROOT / below).iterdir()) if (ROOT / below).exists() else []


def is_whole(server_id: str) -> bool:
    """Whether a server's files are what they were, and its data is its own."""
    game = ROOT / "satisfactory" / server_id
    texts = [path.read_text() for path in (game / "docker-compose.yml", ROOT / "rathole" / server_id / "client.toml")]
    return SPOILT not in "".join(texts) and (game / "data" / server_id / MARK).exists()


def instance(server_id: str) -> int:
    """Return the HTTP status with which the manager answers for a server."""
    headers = {"X-API-Token": os.environ["RATHOLE_TOKEN"]}
    return requests.get(f"{MANAGER}/api/instances/{server_id}", headers=headers, timeout=5).status_code


words = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
ids = sorted(str(row[0]) for row in rows("SELECT server_id FROM servers"))
found = {
    "gunicorns": sum(any(word.endswith("/gunicorn") for word in line) for line in words),
    "clients": sorted(Path(line[-1]).parent.name for line in words if "--client" in line),
    "composes": [line for line in words if "compose" in line],
    "rows": ids,
    "ports": sorted(row[0] for row in rows("SELECT port FROM ports")),
    "followed": dict(rows("SELECT server_id, bounced_for FROM servers")),
    "under way": rows("SELECT server_id, kind, step FROM operations WHERE ended_at IS NULL"),
    "processes": sorted(rows("SELECT kind, server_id FROM processes")),
    "orphans": rows("SELECT server_id FROM orphan_instances"),
    "folders": [folders(below) for below in ("satisfactory", "rathole", ".trash")],
    "whole": [server_id for server_id in ids if is_whole(server_id)],
    "instances": [server_id for server_id in ids if instance(server_id) == requests.codes.ok],
    "instances in all": requests.get(f"{MANAGER}/health", timeout=5).json()["active_instances"],
}
sys.stdout.write(json.dumps(found))
