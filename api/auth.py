"""Who is let in.

Authentication comes before routing errors: without a key an unknown route and a wrong method are 401 like all
others, so that a stranger learns nothing of what is served here. Only the routes marked OPEN answer everyone.
"""

import hmac
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from math import ceil

from flask import g, request
from pydantic import SecretStr

from api.errors import TooManyWrongKeys, Unauthenticated
from core.log import get_logger
from provisioning.trust import TrustedNetworks

WRONG_KEYS = 10
WINDOW = 60.0
"""Seconds in which so many wrong keys are too many."""
MAX_ADDRESSES = 1024
"""How many addresses are remembered at once; the one heard of longest ago is forgotten first."""

log = get_logger("api")


class WrongKeys:
    """Counts wrong keys per address, in bounded memory. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def count(self, address: str) -> float:
        """Count one more; return for how many seconds the address is refused, 0 where it is not.

        What comes while it is refused is not counted: guessing on does not prolong it.
        """
        now = self._clock()
        with self._lock:
            times = self._seen.setdefault(address, deque())
            self._seen.move_to_end(address)
            if len(self._seen) > MAX_ADDRESSES:
                self._seen.popitem(last=False)
            while times and now - times[0] >= WINDOW:
                times.popleft()
            if len(times) >= WRONG_KEYS:
                return WINDOW - (now - times[0])
            times.append(now)
            return 0.0


class Gate:
    """Admits a request by key or by address.

    Args:
        key: the agent's own key.
        trust: the networks that need none.
        clock: seconds that only grow.
    """

    def __init__(self, key: SecretStr, trust: TrustedNetworks, clock: Callable[[], float]) -> None:
        self._key = key.get_secret_value().encode()
        self._trust = trust
        self._wrong_keys = WrongKeys(clock)

    def admit(self) -> None:
        """Let the request in, and remember its user's token for `user_token`.

        Raises:
            Unauthenticated: it has no key, or a wrong one.
            TooManyWrongKeys: a wrong one, and its address has sent too many.
        """
        api_key, bearer = request.headers.get("X-API-Key", ""), _bearer()
        bearer_is_ours = self._is_ours(bearer)
        by_header = self._is_ours(api_key)
        address = request.remote_addr or ""
        if not (by_header or bearer_is_ours or (address and self._trust.trusted(address))):
            raise self._refusal(address, has_key=bool(api_key or bearer))
        # Our own key must never travel to the manager as if it were a user's token.
        g.user_token = None if bearer_is_ours else bearer or None

    def _is_ours(self, given: str) -> bool:
        # WSGI hands over a header's bytes as latin-1.
        return hmac.compare_digest(given.encode("latin-1", "replace"), self._key)

    def _refusal(self, address: str, *, has_key: bool) -> Exception:
        if not has_key:
            return Unauthenticated("no_key", "Send the agent's key, HOST_AGENT_API_KEY, in the header X-API-Key.")
        wait = ceil(self._wrong_keys.count(address))
        if wait:
            message = f"Too many wrong keys came from this address; try again in {wait} s, with the right one."
            return TooManyWrongKeys("too_many_wrong_keys", message, retryAfter=wait)
        log.warning("refused a wrong key", address=address)
        return Unauthenticated("wrong_key", "This is not the agent's key; its HOST_AGENT_API_KEY is in its .env.")


def _bearer() -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def user_token() -> str | None:
    """Return the token of the end user on whose behalf this request came, to forward and never to keep."""
    token: str | None = g.user_token
    return token
