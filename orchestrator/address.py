"""At which address the orchestrator shall call this node."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.settings import Settings
from orchestrator.errors import OrchestratorFailed


@dataclass(frozen=True)
class Address:
    """What is registered as this node's address, and a sentence where it is probably useless."""

    text: str
    warning: str | None = None


def in_container() -> bool:
    """Tell whether this process runs in a Docker container: the engine puts this file into each."""
    return Path("/.dockerenv").exists()


def route_source(host: str, port: int) -> str:
    """Return the address from which packets to `host` leave; none is sent.

    Raises:
        OSError: the name does not resolve, or there is no route.
    """
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_DGRAM)[0]
    except UnicodeError as error:
        raise OSError(f"{host[:80]!r} is not a host name") from error
    with socket.socket(family, kind, protocol) as probe:
        probe.connect(target)
        return str(probe.getsockname()[0])


def own_address(
    settings: Settings,
    *,
    hostname: Callable[[], str] = socket.gethostname,
    source: Callable[[str, int], str] = route_source,
    contained: Callable[[], bool] = in_container,
) -> Address:
    """Decide on the address: the operator's word first, else that of the route to the orchestrator.

    Raises:
        OrchestratorFailed: there is no route to it.
    """
    if settings.use_hostname_registration:
        return Address(hostname())
    if settings.advertise_address:
        return Address(settings.advertise_address)
    try:
        text = source(settings.orchestrator_host, settings.orchestrator_port)
    except OSError as error:
        raise OrchestratorFailed(
            "orchestrator_unreachable",
            f"There is no way to the orchestrator {settings.orchestrator_host}: {error.strerror or error}. "
            "Check ORCHESTRATOR_HOST.",
        ) from error
    return Address(text, _bridge_warning(text) if contained() else None)


def _bridge_warning(text: str) -> str:
    """Docker's DNS, by which games are found, works on its own networks only: a container of ours is on a bridge."""
    return (
        f"The orchestrator is told {text}, an address inside a Docker network, which other machines cannot reach; "
        "set ADVERTISE_ADDRESS to this host's own."
    )
