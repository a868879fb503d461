"""The one error of this room."""

from core.errors import AgentError


class OrchestratorFailed(AgentError):
    """The orchestrator refused, failed or is away.

    Codes: `orchestrator_unreachable`, `orchestrator_timeout`, `orchestrator_failed` (5xx, or no HTTP),
    `orchestrator_refused` (3xx and 4xx) and `orchestrator_unknown` (what answers is no orchestrator).
    """

    @property
    def permanent(self) -> bool:
        """Whether the same request, sent again at once, would only get the same answer."""
        return self.code in {"orchestrator_refused", "orchestrator_unknown"}
