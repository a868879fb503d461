"""What the agent calls on the orchestrator.

No key and no token of ours is ever sent to it, and what it answers is bounded in size and time.
"""

import json
import socket
import time
from collections.abc import Callable, Mapping

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from core.log import get_logger
from core.replies import EndlessReply, Reply, reply_of
from core.settings import Settings
from orchestrator.errors import OrchestratorFailed

log = get_logger("orchestrator")

_MAX_ANSWER = 64 * 1024
_LONGEST_REASON = 200
_OFFLINE_TIMEOUT = 3.0


class OrchestratorClient:
    """Speaks to the orchestrator that `settings` name. Each method raises OrchestratorFailed where it was not heard.

    Args:
        settings: where it is and who we are.
        timeout: seconds for one call; HEARTBEAT_TIMEOUT by default.
        clock: seconds that only grow.
    """

    def __init__(
        self, settings: Settings, *, timeout: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if settings.orchestrator_url is None:
            raise ValueError("no orchestrator is configured")
        self.url = settings.orchestrator_url
        self.node_id = settings.node_id
        self._max_servers = settings.max_servers
        self._timeout = settings.heartbeat_timeout if timeout is None else timeout
        self._clock = clock
        # Orchestrators of two ages are in the field; the one that answered is asked first from then on.
        self._register_paths = ("/api/nodes/register", "/api/nodes")

    def register(self, address: str) -> None:
        """Make this node known, to be called at `address`."""
        node = {
            "nodeId": self.node_id,
            "hostname": socket.gethostname(),
            "ipAddress": address,
            "maxServers": self._max_servers,
        }
        first, second = self._register_paths
        reply = self._post(first, node)
        if reply.status in (404, 405):
            reply = self._post(second, node)
            if reply.status not in (404, 405):
                self._register_paths = (second, first)
        self._check(reply)

    def heartbeat(self, stats: Mapping[str, object]) -> None:
        """Tell that this node is well: `stats` is what `GET /api/stats` answers."""
        self._check(self._post(f"/api/nodes/{self.node_id}/stats", stats))

    def offline(self) -> None:
        """Tell that this node goes."""
        self._check(self._post(f"/api/nodes/{self.node_id}/offline", None))

    def _post(self, path: str, body: Mapping[str, object] | None) -> Reply:
        deadline = self._clock() + self._timeout
        try:
            with requests.Session() as session:
                session.trust_env = False  # neither a proxy nor a .netrc of the environment is meant for this call
                with session.post(
                    self.url + path,
                    json=body,
                    headers={"User-Agent": "satis-host-agent", "Accept-Encoding": "identity"},
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    return reply_of(response, limit=_MAX_ANSWER, deadline=deadline, clock=self._clock)
        except EndlessReply as error:
            raise self._fault("orchestrator_unknown", "sent an answer without end") from error
        except (requests.Timeout, ReadTimeoutError, TimeoutError) as error:
            raise self._fault("orchestrator_timeout", f"did not answer within {self._timeout:g} s") from error
        except requests.ConnectionError as error:
            raise self._fault("orchestrator_unreachable", "cannot be reached") from error
        except (requests.RequestException, HTTPError, OSError, UnicodeError) as error:
            raise self._fault("orchestrator_failed", "does not speak HTTP as it should") from error

    def _check(self, reply: Reply) -> None:
        if 200 <= reply.status < 300:
            self._check_is_json(reply)
        elif reply.status >= 500:
            raise self._fault("orchestrator_failed", f"failed ({reply.status}): {_reason(reply)}", status=reply.status)
        else:
            raise self._fault(
                "orchestrator_refused", f"refused ({reply.status}): {_reason(reply)}", status=reply.status
            )

    def _check_is_json(self, reply: Reply) -> None:
        """A page of some other web server at this address is no success."""
        try:
            json.loads(reply.body or b"{}")
        except (ValueError, RecursionError) as error:
            raise self._fault(
                "orchestrator_unknown", "answers, but not as an orchestrator; check ORCHESTRATOR_HOST and _PORT"
            ) from error

    def _fault(self, code: str, what: str, **details: object) -> OrchestratorFailed:
        return OrchestratorFailed(code, f"The orchestrator at {self.url} {what}.", **details)


def _reason(reply: Reply) -> str:
    """Return what the orchestrator says of a failure, short and printable."""
    try:
        answer = json.loads(reply.body)
    except (ValueError, RecursionError):
        answer = None
    said = (answer.get("error") or answer.get("message")) if isinstance(answer, dict) else None
    text = said if isinstance(said, str) else "it gives no reason"
    return "".join(char if char.isprintable() else " " for char in text)[:_LONGEST_REASON].rstrip(".")


def send_offline(settings: Settings) -> None:
    """Tell the orchestrator, if there is one, that this node goes; a failure is logged, never raised.

    It takes 3 s at most, since the process that calls it is about to exit.
    """
    if settings.orchestrator_url is None:
        return
    try:
        OrchestratorClient(settings, timeout=_OFFLINE_TIMEOUT).offline()
    except OrchestratorFailed as error:
        log.warning("The orchestrator was not told that this node goes; it will notice.", reason=error.message)
    else:
        log.info("The orchestrator was told that this node goes.")
