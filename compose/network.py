"""The network of all servers: there once, and the agent on it."""

import threading

from compose.container import Network
from compose.engine import Engine
from compose.file import NETWORK
from core.errors import ComposeFailed
from core.failpoints import Failpoint, reached
from core.log import get_logger

__all__ = ["NETWORK", "ensure_member", "ensure_network"]

# With this label, Compose takes a network that it did not make for its own (tried with Compose 2.26).
_COMPOSE_LABEL = "com.docker.compose.network"

log = get_logger("network")
_making = threading.Lock()


def ensure_network(engine: Engine, name: str = NETWORK) -> Network:
    """Return the one network of this name; make it where there is none, remove empty twins.

    Docker's names are not unique: callers that race make several networks of one name, and every `up`
    fails as ambiguous from then on (tried with engine 20.10). So ours do not race, and twins that
    others made are dealt with.

    Raises:
        ComposeFailed: containers run on several networks of this name.
        DockerUnavailable: the engine is away.
    """
    with _making:
        found = engine.networks(name)
        if not found:
            log.info("The network is not there; it is made.", network=name)
            engine.create_network(name, {_COMPOSE_LABEL: name})
            reached(Failpoint.NETWORK_MADE)
            found = engine.networks(name)
        return found[0] if len(found) == 1 else _without_twins(engine, name, found)


def _without_twins(engine: Engine, name: str, twins: list[Network]) -> Network:
    """Keep the one in use, or else the oldest, which another maker keeps as well."""
    used = [network for network in twins if network.members]
    if len(used) > 1:
        raise ComposeFailed("network_ambiguous", _sentence(name, used))
    kept = (used or twins)[0]
    for network in twins:
        if network != kept:
            log.warning("There are several networks of one name; an empty one is removed.", network=name, id=network.id)
            engine.remove_network(network.id)
    return kept


def _sentence(name: str, used: list[Network]) -> str:
    who = "; ".join(f"{network.id[:12]} has {', '.join(network.members.values())}" for network in used)
    return (
        f"There are {len(used)} Docker networks named {name}, all in use ({who}): stop the containers on one of "
        f"them and remove it with `docker network rm <id>`."
    )


def ensure_member(engine: Engine, network: Network, container_id: str, alias: str) -> bool:
    """Put a container on the network, where others find it by `alias`; tell whether it was not on it.

    Raises:
        NotFound: there is no such container.
        DockerUnavailable: the engine is away.
    """
    if container_id in network.members:
        return False
    engine.connect(network.id, container_id, [alias])
    reached(Failpoint.NETWORK_JOINED)
    return True
