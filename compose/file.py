"""The compose file of one server, as data. Pure: nothing here touches a disk or Docker."""

import hashlib
import json
from pathlib import Path
from typing import Any

import yaml

from core.models import Ports, ServerSpec

NETWORK = "satis_network"
SERVER_LABEL = "satis.server_id"
HASH_LABEL = "satis.spec_hash"

# How long Docker waits after the stop signal before it kills, in seconds. The default image dies at once,
# unsaved, whatever stands here; an image that saves on its signal needs the time.
STOP_GRACE_SECONDS = 60

_DEFAULT_RAM_GB = 4
_DEFAULT_CPUS = 2
_PIDS = 1024

# Lets `curl` inside the container act as the server's administrator; from the outside it opens nothing.
_LOCAL_ADMINISTRATOR = "-ini:Engine:[SystemSettings]:FG.DedicatedServer.AllowInsecureLocalAccess=1"

# What the default image (wolveix/satisfactory-server v1.9.10, run.sh) takes where nothing is said,
# and the user it runs the game as. Written out so that the file shows what the game runs with.
_IMAGE_DEFAULTS = {
    "AUTOSAVENUM": "5",
    "DEBUG": "false",
    "DISABLESEASONALEVENTS": "false",
    "LOG": "false",
    "MAXOBJECTS": "2162688",
    "MAXTICKRATE": "30",
    "MULTIHOME": "::",
    "PGID": "1000",
    "PUID": "1000",
    "SERVERSTREAMING": "true",
    "SKIPUPDATE": "false",
    "STEAMBETA": "false",
    "STEAMBETAID": "",
    "STEAMBETAKEY": "",
    "TIMEOUT": "30",
    "VMOVERRIDE": "false",
}


def render(spec: ServerSpec, ports: Ports, *, image: str, data_path: Path, publish_ports: bool) -> dict[str, Any]:
    """Return the compose document of one server; the server's password is not in it.

    Args:
        spec: what the server is asked to be.
        ports: the numbers it has in public, and so inside: a remapped port is an endless loading screen.
        image: the game's image.
        data_path: the server's data on the host, mounted at `/config`.
        publish_ports: whether the host's own addresses serve the ports, too.
    """
    document = {
        "services": {spec.server_id: _service(spec, ports, image, data_path, publish_ports=publish_ports)},
        "networks": {NETWORK: {"external": True}},
    }
    escaped: dict[str, Any] = _escape(document)
    escaped["services"][spec.server_id]["labels"][HASH_LABEL] = spec_hash(escaped)
    return escaped


def _service(spec: ServerSpec, ports: Ports, image: str, data_path: Path, *, publish_ports: bool) -> dict[str, Any]:
    service: dict[str, Any] = {
        "image": image,
        "container_name": spec.server_id,
        "hostname": spec.server_id,
        "command": [_LOCAL_ADMINISTRATOR],
        "environment": _environment(spec, ports),
        # The agent makes the folder first. A path that differs in and outside the agent's container is
        # then an error of `up`, and not an empty folder that Docker makes on the host.
        "volumes": [_data_volume(data_path)],
        "networks": [NETWORK],
        "restart": "unless-stopped",
        "stop_grace_period": f"{STOP_GRACE_SECONDS}s",
        "security_opt": ["no-new-privileges:true"],
        "labels": {SERVER_LABEL: spec.server_id},
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
    } | _limits(spec)
    if publish_ports:
        service["ports"] = _published(ports)
    return service


def _environment(spec: ServerSpec, ports: Ports) -> dict[str, str]:
    own = {
        "MAXPLAYERS": str(spec.max_players),
        "SERVERGAMEPORT": str(ports.game),
        "SERVERMESSAGINGPORT": str(ports.beacon),
    }
    return _IMAGE_DEFAULTS | spec.environment_variables | own


def _data_volume(data_path: Path) -> dict[str, Any]:
    return {
        "type": "bind",
        "source": str(data_path),
        "target": "/config",
        "bind": {"create_host_path": False},
    }


def _limits(spec: ServerSpec) -> dict[str, Any]:
    memory = f"{spec.ram_allocation or _DEFAULT_RAM_GB}g"
    limits = {"memory": memory, "cpus": str(spec.cpu_allocation or _DEFAULT_CPUS), "pids": _PIDS}
    # Without its own limit, swap is as large as the memory again (tried with engine 20.10).
    return {"memswap_limit": memory, "deploy": {"resources": {"limits": limits}}}


def _published(ports: Ports) -> list[str]:
    """Each entry names its protocol: without one Docker publishes TCP alone."""
    return [
        f"{ports.game}:{ports.game}/tcp",
        f"{ports.game}:{ports.game}/udp",
        f"{ports.beacon}:{ports.beacon}/tcp",
    ]


def _escape(value: Any) -> Any:  # noqa: ANN401 - any part of a document
    """Double every `$`: Compose interpolates in quoted strings too, with the agent's own environment."""
    match value:
        case str():
            return value.replace("$", "$$")
        case dict():
            return {key: _escape(part) for key, part in value.items()}
        case list():
            return [_escape(part) for part in value]
        case _:
            return value


def spec_hash(document: dict[str, Any]) -> str:
    """Return a hash of a rendered document, without regard to the label that holds it."""
    services = {
        name: service | {"labels": {k: v for k, v in service["labels"].items() if k != HASH_LABEL}}
        for name, service in document["services"].items()
    }
    canonical = json.dumps(document | {"services": services}, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


class _Dumper(yaml.SafeDumper):
    """Quotes every string.

    PyYAML leaves `1e3` and `0o17` bare, as they are strings to YAML 1.1; Compose reads YAML 1.2, where
    they are the numbers 1000 and 15 (tried with Compose 2.26).
    """

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401, ARG002 - PyYAML's signature
        """Write equal parts out, as a person would."""
        return True


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _quoted)


def to_yaml(document: dict[str, Any]) -> str:
    """Return the document as the text of a compose file."""
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, width=float("inf"))
