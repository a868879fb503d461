"""What the face is given: all that it calls lies behind these few names."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from core.settings import Settings
from orchestrator.node import NodeStats
from provisioning.runtime import Runtime
from provisioning.servers import Servers
from provisioning.trust import TrustedNetworks


@dataclass(frozen=True)
class Services:
    """All that the face calls.

    Attributes:
        settings: the operator's.
        servers: the will.
        runtime: the loops' health.
        stats: CPU, memory and disk in use, in percent.
        trust: the networks that need no key.
        clock: seconds that only grow, for the count of wrong keys.
    """

    settings: Settings
    servers: Servers
    runtime: Runtime
    stats: Callable[[], NodeStats]
    trust: TrustedNetworks
    clock: Callable[[], float] = time.monotonic
