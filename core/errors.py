"""What can go wrong, in families that the HTTP face maps to statuses.

Every error carries a code for programs and a sentence that a person can act on.
"""


class AgentError(Exception):
    """The root of all errors that the agent raises on purpose.

    Args:
        code: snake_case name of what went wrong, part of the wire contract.
        message: one sentence that tells a person what to do; never holds a secret.
        details: more for programs, JSON-serialisable.
    """

    def __init__(self, code: str, message: str, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


class InvalidRequest(AgentError):
    """Well-formed, but a field's value is not acceptable (HTTP 422)."""


class NotFound(AgentError):
    """There is no server of this id (HTTP 404)."""


class Conflict(AgentError):
    """The request contradicts what is there or what is under way (HTTP 409)."""


class ManagerFailed(AgentError):
    """The rathole instance manager refused, failed or is away (HTTP 502)."""


class ComposeFailed(AgentError):
    """`docker compose` or the engine could not do what was asked (HTTP 502)."""


class GameFailed(AgentError):
    """The game did not answer, or refused (HTTP 502)."""


class DockerUnavailable(AgentError):
    """The Docker engine is not reachable (HTTP 503)."""


class StoreFailed(AgentError):
    """The data directory cannot be written or read (HTTP 503)."""


class Busy(AgentError):
    """As many callers wait already as may (HTTP 503); `retryAfter` in the details is in seconds."""


class ShuttingDown(AgentError):
    """The agent is about to exit and begins nothing new (HTTP 503)."""


class DeadlinePassed(AgentError):
    """Something took longer than it may (HTTP 504)."""
