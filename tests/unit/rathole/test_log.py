"""rathole's log: the lines that matter, as 0.5.0 writes them, and the noise between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rathole.log import LogEvent, LogKind, parse_line

TIME = "2026-11-23T22:24:19.275147Z"
HANDLE = f"{TIME} ERROR handle{{service=srv_game}}: rathole::client: Failed to run the control channel: "

RUN = f"{TIME}  WARN handle{{service=srv_game}}:run: rathole::client: "

EVENTS = [
    (f"{TIME}  INFO handle{{service=srv_game}}: rathole::client: Starting 4a41acead5e5", LogKind.STARTING, ""),
    (
        f"{TIME}  INFO handle{{service=srv_game}}:run: rathole::client: Control channel established",
        LogKind.ESTABLISHED,
        "",
    ),
    (f"{TIME}  INFO handle{{service=srv_game}}:run: rathole::client: Control channel shutdown", LogKind.SHUTDOWN, ""),
    (
        HANDLE + "Failed to connect to 127.0.0.1:1: Connection refused (os error 111). Retry in 489.457838ms...",
        LogKind.UNREACHABLE,
        "Failed to connect to 127.0.0.1:1: Connection refused (os error 111)",
    ),
    (
        HANDLE + "failed to lookup address information: Name or service not known. Retry in 1.019547863s...",
        LogKind.UNREACHABLE,
        "failed to lookup address information: Name or service not known",
    ),
    (
        HANDLE + "Authentication failed: srv_game: Incorrect token. Retry in 582.132052ms...",
        LogKind.TOKEN_REFUSED,
        "Authentication failed: srv_game: Incorrect token",
    ),
    (
        HANDLE + "Authentication failed: srv_game: Service not exist. Retry in 0ns...",
        LogKind.SERVICE_UNKNOWN,
        "Authentication failed: srv_game: Service not exist",
    ),
    (HANDLE + "Failed to read cmd: early eof. Retry in 558.65421ms...", LogKind.LOST, "Failed to read cmd: early eof"),
    (HANDLE + "Heartbeat timed out. Retry in 1s...", LogKind.LOST, "Heartbeat timed out"),
    (
        HANDLE + "Failed to deserialize hello: invalid value: integer `1347703880`. Retry in 1s...",
        LogKind.MISCONFIGURED,
        "Failed to deserialize hello: invalid value: integer `1347703880`",
    ),
    (
        HANDLE + "Failed to connect to 127.0.0.1:1: Failed to do noise handshake: x. Retry in 1s...",
        LogKind.MISCONFIGURED,
        "Failed to connect to 127.0.0.1:1: Failed to do noise handshake: x",
    ),
]

NOISE = [
    "",
    "Error: Configuration is invalid. Please refer to the configuration specification.",
    f"{TIME}  INFO config_watcher{{path=x}}: rathole::config_watcher: Start watching the config",
    RUN + "Failed to run the data channel: Failed to read cmd: early eof",
    RUN + "Failed to run the data channel: unexpected end of file",
    f"{TIME}  INFO rathole::server: Listening at 127.0.0.1:23330",
    RUN.replace(":run", ':run:run_data_channel_for_udp{local_addr="g:1"}') + "failed to lookup address information: x",
    "Control channel established",
]


@pytest.mark.parametrize(("line", "kind", "text"), EVENTS)
def test_a_line_of_a_control_channel_is_understood(line: str, kind: LogKind, text: str) -> None:
    """Service, kind and rathole's own words, without the time of the next try."""
    assert parse_line(line + "\n") == LogEvent("srv_game", kind, TIME, text)


@pytest.mark.parametrize("line", NOISE)
def test_noise_means_nothing(line: str) -> None:
    """A failed data channel comes with every restart of the server and must never be acted on."""
    assert parse_line(line) is None


def test_colours_do_not_matter() -> None:
    """A rathole that believes itself at a terminal colours level, span and target."""
    start = f"\x1b[2m{TIME}\x1b[0m \x1b[32m INFO\x1b[0m handle{{service=a}}:run: "
    line = start + "rathole::client: Control channel established"

    assert parse_line(line) == LogEvent("a", LogKind.ESTABLISHED, TIME)


def test_a_failure_without_end_is_shortened() -> None:
    """What a foreign server makes rathole say does not fill our memory or answers."""
    event = parse_line(HANDLE + "x" * 5000)

    assert event is not None
    assert len(event.text) == 300


@given(st.text())
def test_any_text_is_an_event_or_nothing(line: str) -> None:
    """No line of a log makes the parser fail."""
    assert parse_line(line) is None
