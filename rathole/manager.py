"""The client of the rathole instance manager on the VPS.

What it answers comes from another machine: it is bounded in size and time, and every value is checked.
"""

import re
import time
from collections.abc import Callable
from http import HTTPStatus

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util.retry import Retry

from core.errors import ManagerFailed
from core.models import Ports
from core.replies import EndlessReply, Reply, reply_of
from core.settings import Settings
from rathole.answer import Instance, config_of, instance_of, json_of, sentence_of

_CONNECT_TIMEOUT = 3.0
_READ_TIMEOUT = 10.0  # a create takes over a second, and the manager serves one caller at a time
_MAX_ANSWER = 256 * 1024
# Only what can be repeated without another outcome; a connection that cannot be made is the caller's to repeat.
_RETRY = Retry(
    total=2,
    connect=0,
    read=1,
    redirect=0,
    status_forcelist=(502, 503, 504),
    allowed_methods=("GET", "DELETE"),
    backoff_factor=0.2,
    raise_on_status=False,
    respect_retry_after_header=False,
)


class InstanceManager:
    """Speaks to the manager that `settings` name. Safe to use from several threads.

    Every method raises ManagerFailed with one of the codes `manager_unreachable`,
    `manager_timeout`, `auth_refused`, `manager_refused` (4xx; `details.status`) and `manager_failed`.
    Where a user's token is given it is used in place of the agent's own, and sent nowhere else. A manager that
    answers it with 401 does not know users, as the edge does not: then it is asked once more with the agent's own.
    403 is a manager's last word.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        if settings.manager_url is None:
            raise ValueError("no instance manager is configured")
        self._url = settings.manager_url
        self._verify = str(settings.rathole_manager_ca) if settings.rathole_manager_ca else True
        self._access_token = settings.access_token.get_secret_value()
        self._token = settings.rathole_token.get_secret_value()
        self._legacy = settings.legacy_auth_enabled
        self._clock = clock

    def create(self, server_id: str, ports: Ports, user_token: str | None = None) -> Instance:
        """Have a rathole server made for this server; one that is there already is as good."""
        # Managers of the first generation say beacon_port where later ones say query_port.
        body = {
            "server_id": server_id,
            "game_port": ports.game,
            "query_port": ports.beacon,
            "beacon_port": ports.beacon,
        }
        reply = self._call("POST", "/api/instances", user_token, body=body)
        if reply.status >= 400 and _says_exists(reply):
            if instance := self.get(server_id, user_token):
                return instance
            raise ManagerFailed(
                "manager_failed", "The instance manager says that the instance exists, and does not find it."
            )
        self._check(reply, user_token)
        return instance_of(json_of(reply.body), server_id)

    def get(self, server_id: str, user_token: str | None = None) -> Instance | None:
        """Return the instance of this server; None where the manager knows none."""
        reply = self._call("GET", f"/api/instances/{server_id}", user_token)
        if reply.status == 404:
            return None
        self._check(reply, user_token)
        return instance_of(json_of(reply.body), server_id)

    def client_config(self, server_id: str, user_token: str | None = None) -> str | None:
        """Return the client.toml that the manager has for this server, unchecked; None where it has none."""
        path = f"/api/instances/{server_id}/client-config"
        reply = self._call("GET", path, user_token, query={"host_ip": server_id})
        if reply.status == 404:
            return None
        self._check(reply, user_token)
        return config_of(json_of(reply.body), server_id)

    def delete(self, server_id: str, user_token: str | None = None) -> None:
        """Remove the instance of this server; none is fine."""
        reply = self._call("DELETE", f"/api/instances/{server_id}", user_token)
        if reply.status != 404:
            self._check(reply, user_token)

    def _call(
        self,
        method: str,
        path: str,
        user_token: str | None,
        *,
        query: dict[str, str] | None = None,
        body: dict[str, object] | None = None,
    ) -> Reply:
        reply = self._call_as(user_token, method, path, query or {}, body)
        if reply.status == HTTPStatus.UNAUTHORIZED and user_token and (self._access_token or self._token):
            return self._call_as(None, method, path, query or {}, body)
        return reply

    def _call_as(
        self, user_token: str | None, method: str, path: str, query: dict[str, str], body: dict[str, object] | None
    ) -> Reply:
        bearer = user_token or self._access_token
        if bearer:
            return self._send(method, path, {"Authorization": f"Bearer {bearer}".encode()}, query, body)
        # The first generation wants the token inside the request as well.
        legacy = {"token": self._token} if self._token and self._legacy else {}
        headers = {"X-API-Token": self._token.encode()} if self._token else {}
        if body is not None:
            return self._send(method, path, headers, query, {**body, **legacy})
        return self._send(method, path, headers, {**query, **legacy}, None)

    def _send(
        self, method: str, path: str, headers: dict[str, bytes], query: dict[str, str], body: dict[str, object] | None
    ) -> Reply:
        """Send one request. The library's errors are not chained: they hold the URL, and that a legacy token."""
        deadline = self._clock() + _READ_TIMEOUT
        try:
            with (
                _session() as session,
                session.request(
                    method,
                    self._url + path,
                    headers={"Accept-Encoding": "identity", **headers},
                    params=query,
                    json=body,
                    timeout=(_CONNECT_TIMEOUT, _READ_TIMEOUT),
                    verify=self._verify,
                    allow_redirects=False,  # a token goes to the manager and nowhere else
                    stream=True,
                ) as response,
            ):
                return reply_of(response, limit=_MAX_ANSWER, deadline=deadline, clock=self._clock)
        except (requests.RequestException, HTTPError, OSError, EndlessReply) as error:
            raise self._translated(error) from None

    def _translated(self, error: Exception) -> ManagerFailed:
        if isinstance(error, EndlessReply):
            return self._fault("manager_failed", "sent an answer without end")
        if isinstance(error, requests.exceptions.SSLError):
            return self._fault("manager_unreachable", "shows a certificate that is not trusted; see RATHOLE_MANAGER_CA")
        if isinstance(error, requests.ConnectTimeout):
            return self._fault("manager_unreachable", "takes no connection")
        if isinstance(error, requests.Timeout | ReadTimeoutError | TimeoutError) or _timed_out(error):
            return self._fault("manager_timeout", f"did not answer within {_READ_TIMEOUT:g} s")
        if isinstance(error, requests.ConnectionError):
            return self._fault("manager_unreachable", "cannot be reached")
        return self._fault("manager_failed", "does not speak HTTP as it should")

    def _check(self, reply: Reply, user_token: str | None) -> None:
        """Raise unless the manager says that it did what it was asked."""
        if reply.status == 200 and json_of(reply.body).get("status", "success") == "success":
            return
        if reply.status == 401:
            raise self._fault("auth_refused", self._refusal())
        said = self._redacted(sentence_of(reply.body), user_token)
        if 400 <= reply.status < 500:
            raise self._fault("manager_refused", f"refused ({reply.status}): {said}", status=reply.status)
        raise self._fault("manager_failed", f"failed ({reply.status}): {said}", status=reply.status)

    def _refusal(self) -> str:
        if not (self._access_token or self._token):
            return "wants a token, and none is set; set RATHOLE_TOKEN to the manager's own"
        return (
            "refuses the agent's token; make RATHOLE_TOKEN the manager's own. "
            "Where the manager knows users, set ACCESS_TOKEN, or send the request with a user's token"
        )

    def _redacted(self, text: str, user_token: str | None) -> str:
        for secret in (user_token, self._access_token, self._token):
            text = text.replace(secret, "***") if secret else text
        return text

    def _fault(self, code: str, what: str, **details: object) -> ManagerFailed:
        return ManagerFailed(code, f"The instance manager at {self._url} {what}.", **details)


def _says_exists(reply: Reply) -> bool:
    return bool(re.search(r"\balready exists\b", sentence_of(reply.body)))


def _timed_out(error: Exception) -> bool:
    """Tell whether the last of several tries ended in a timeout: requests calls that a connection error."""
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), ReadTimeoutError)


def _session() -> requests.Session:
    """Return a session of one request's life: a kept connection may be dead, and sessions know no threads."""
    session = requests.Session()
    session.trust_env = False  # a .netrc would replace our header
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=_RETRY))
    return session
