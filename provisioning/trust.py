"""Whose calls need no key: networks that the operator named, unless anybody could call from them."""

import ipaddress
from collections.abc import Iterable

from compose.engine import Engine
from compose.network import NETWORK
from core.errors import InvalidRequest
from core.log import get_logger
from core.settings import Network

log = get_logger("trust")


class TrustedNetworks:
    """Trusts nobody until Docker's networks were looked at.

    Calls to the host's own addresses and from other Docker networks come from a bridge's gateway, and games
    call from their own addresses (tried with engine 20.10): a trusted network that holds one of these would
    let everybody in.

    Args:
        networks: what the operator named.
        engine: knows Docker's networks.
    """

    def __init__(self, networks: Iterable[Network], engine: Engine) -> None:
        self._named = tuple(networks)
        self._engine = engine
        self._trusted: tuple[Network, ...] = ()
        self._said = ""

    def trusted(self, address: str) -> bool:
        """Whether a call from this address needs no key."""
        if not self._trusted:
            return False
        caller = ipaddress.ip_address(address)
        return any(caller in network for network in self._trusted)

    def check(self) -> None:
        """Look at Docker's networks and trust what the operator named; where none may be, say so once.

        Raises:
            DockerUnavailable: Docker's networks are not known; what was found before holds.
        """
        if not self._named:
            return
        try:
            self._look()
        except InvalidRequest as error:
            self._trusted = ()
            if error.message != self._said:
                log.warning("No network is trusted.", why=error.message)
            self._said = error.message
        else:
            self._trusted, self._said = self._named, ""

    def _look(self) -> None:
        for network in self._engine.all_networks():
            for gateway in network.gateways:
                self._refuse_if(f"the gateway of Docker's network {network.name}", ipaddress.ip_network(gateway))
            if network.name == NETWORK:
                for subnet in network.subnets:
                    self._refuse_if("the games' own network", ipaddress.ip_network(subnet))

    def _refuse_if(self, what: str, inside: Network) -> None:
        for named in self._named:
            if named.version == inside.version and named.overlaps(inside):
                raise InvalidRequest(
                    "untrustworthy_network",
                    f"HOST_AGENT_TRUSTED_NETWORKS names {named}, which holds {what} ({inside}): anybody could call "
                    "from there without a key. Name the orchestrator's own address instead.",
                )
