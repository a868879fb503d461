"""rathole's log, line by line: what each says of a service. Texts are those of rathole 0.5.0 (client.rs), tried."""

import re
from dataclasses import dataclass
from enum import StrEnum


class LogKind(StrEnum):
    """What a line says of a service's control channel."""

    STARTING = "starting"
    ESTABLISHED = "established"
    UNREACHABLE = "unreachable"
    LOST = "lost"
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - an event, not a token
    SERVICE_UNKNOWN = "service_unknown"
    MISCONFIGURED = "misconfigured"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True)
class LogEvent:
    """One line that matters.

    Attributes:
        service: the name of the service it speaks of.
        kind: what happened to it.
        time: when, in rathole's own words: ISO 8601, UTC.
        text: rathole's own words, without "Retry in …"; empty where nothing failed.
    """

    service: str
    kind: LogKind
    time: str
    text: str = ""


_MAX_TEXT = 300
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_LINE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)\s+(?:TRACE|DEBUG|INFO|WARN|ERROR)\s+"
    r"handle\{service=(?P<service>[^}]+)\}(?::run)?: rathole::client: (?P<text>.*)"
)
_CONTROL = "Failed to run the control channel: "
_RETRY = re.compile(r"\. Retry in \S+$")

# Of a line that begins so. "Failed to run the data channel" stands nowhere here, on purpose: it comes
# with every restart of the server and says nothing of the tunnel.
_PLAIN = {
    "Starting ": LogKind.STARTING,
    "Control channel established": LogKind.ESTABLISHED,
    "Control channel shutdown": LogKind.SHUTDOWN,
}
# Of a failed control channel, by a part of its text; the first that fits counts.
_FAILED = (
    ("Incorrect token", LogKind.TOKEN_REFUSED),
    ("Service not exist", LogKind.SERVICE_UNKNOWN),
    ("Failed to deserialize hello", LogKind.MISCONFIGURED),
    ("Failed to read hello", LogKind.MISCONFIGURED),
    ("noise handshake", LogKind.MISCONFIGURED),
    ("Protocol version mismatched", LogKind.MISCONFIGURED),
    ("Failed to connect to", LogKind.UNREACHABLE),
    ("failed to lookup address", LogKind.UNREACHABLE),
    ("invalid socket address", LogKind.UNREACHABLE),
)


def parse_line(line: str) -> LogEvent | None:
    """Return what a line of rathole's log says of a service; None for everything else."""
    match = _LINE.fullmatch(_ANSI.sub("", line.rstrip("\r\n")))
    if match is None:
        return None
    service, time, text = match["service"], match["time"], match["text"]
    if text.startswith(_CONTROL):
        said = _RETRY.sub("", text.removeprefix(_CONTROL))[:_MAX_TEXT]
        return LogEvent(service, _kind_of_failure(said), time, said)
    kind = next((kind for start, kind in _PLAIN.items() if text.startswith(start)), None)
    return LogEvent(service, kind, time) if kind else None


def _kind_of_failure(said: str) -> LogKind:
    return next((kind for part, kind in _FAILED if part in said), LogKind.LOST)
