"""The loop that keeps this node known to the orchestrator."""

import time
from collections.abc import Callable, Mapping

from core.log import get_logger
from core.settings import Settings
from orchestrator.address import Address, own_address
from orchestrator.client import OrchestratorClient
from orchestrator.errors import OrchestratorFailed
from orchestrator.schedule import Schedule

log = get_logger("orchestrator")

# What the first heartbeat after a start waits for, and how often it is asked after.
_FIRST_LOOKS, _LOOK_PAUSE = 5.0, 0.1


class Heartbeat:
    """Registers, sends heartbeats, and says in the log what changed, not what stayed.

    Args:
        client: how to reach the orchestrator.
        schedule: when to do what.
        address: this node's address, asked anew for each registration, since it can change.
        stats: what `GET /api/stats` answers.
        looked: whether every server was looked at, so that the stats can be believed.
        clock: seconds that only grow, the schedule's clock.
    """

    def __init__(  # noqa: PLR0913 - each a part of its own
        self,
        client: OrchestratorClient,
        schedule: Schedule,
        *,
        address: Callable[[], Address],
        stats: Callable[[], Mapping[str, object]],
        looked: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._schedule = schedule
        self._address = address
        self._stats = stats
        self._looked = looked
        self._clock = clock
        self._patient_until: float | None = None
        self._has_looked = False
        self._said: dict[str, object] = {}

    def step(self) -> float:
        """Do what is due; return how many seconds there are until the next."""
        if self._clock() >= self._schedule.register_at:
            self._register()
        if self._clock() >= self._schedule.beat_at:
            if not self._may_beat():
                return _LOOK_PAUSE
            self._beat()
        return max(0.0, min(self._schedule.register_at, self._schedule.beat_at) - self._clock())

    def _may_beat(self) -> bool:
        """Games outlive the agent; before they were looked at, the first heartbeat would say that none runs."""
        if self._patient_until is None:
            self._patient_until = self._clock() + _FIRST_LOOKS
        # Once only: a server that is new is never waited for. Nor for ever: Docker may be away.
        self._has_looked = self._has_looked or self._clock() >= self._patient_until or self._looked()
        return self._has_looked

    def _register(self) -> None:
        try:
            address = self._address()
            self._client.register(address.text)
        except OrchestratorFailed as error:
            self._schedule.registration_failed(self._clock(), permanent=error.permanent)
            self._say_failed("registration", error)
        else:
            self._schedule.registered(self._clock())
            self._say_registered(address)

    def _beat(self) -> None:
        try:
            self._client.heartbeat(self._stats())
        except OrchestratorFailed as error:
            self._schedule.beat_failed(self._clock(), permanent=error.permanent)
            self._say_failed("heartbeat", error)
        else:
            self._schedule.beaten(self._clock())
            if self._changed("heartbeat", "well"):
                log.info("The orchestrator takes this node's heartbeats.")

    def _say_registered(self, address: Address) -> None:
        if self._changed("registration", address):
            log.info(
                "This node is registered at the orchestrator.",
                node=self._client.node_id,
                url=self._client.url,
                address=address.text,
            )
            if address.warning:
                log.warning(address.warning)

    def _say_failed(self, subject: str, error: OrchestratorFailed) -> None:
        # By code and status, since an answer may hold a time that differs in each.
        if self._changed(subject, (error.code, error.details.get("status"))):
            log.warning(error.message, what=subject)

    def _changed(self, subject: str, state: object) -> bool:
        changed = self._said.get(subject) != state
        self._said[subject] = state
        return changed


def make_heartbeat(
    settings: Settings, stats: Callable[[], Mapping[str, object]], looked: Callable[[], bool]
) -> Heartbeat:
    """Return the loop for the orchestrator that `settings` name, which must be one."""
    return Heartbeat(
        OrchestratorClient(settings),
        Schedule(settings, time.monotonic()),
        address=lambda: own_address(settings),
        stats=stats,
        looked=looked,
    )
