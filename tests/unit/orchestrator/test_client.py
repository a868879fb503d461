"""The client: what is sent, which answers count, and how failures are named."""

import socket
import time

import pytest
from structlog.testing import capture_logs

from core.settings import load_settings
from orchestrator.client import OrchestratorClient, send_offline
from orchestrator.errors import OrchestratorFailed
from tests.fakes.orchestrator import FakeOrchestrator, Fault, running_orchestrator
from tests.unit.orchestrator.conftest import API_KEY, MakeSettings

STATS = {"cpuUsage": 1.5, "memoryUsage": 2.0, "diskUsage": 3.0, "containerCount": 0, "runningContainers": []}


def test_a_node_registers_with_four_fields(orchestrator: FakeOrchestrator, make_settings: MakeSettings) -> None:
    """The orchestrator knows name, host name, address and number of servers."""
    OrchestratorClient(make_settings(orchestrator, MAX_SERVERS="7")).register("192.0.2.9")
    assert orchestrator.nodes == {
        "node-a": {"nodeId": "node-a", "hostname": socket.gethostname(), "ipAddress": "192.0.2.9", "maxServers": 7}
    }


def test_an_orchestrator_of_the_other_age_is_remembered(make_settings: MakeSettings) -> None:
    """The first registration finds the path that is served; the second goes there at once."""
    with running_orchestrator("/api/nodes") as older:
        client = OrchestratorClient(make_settings(older))
        client.register("192.0.2.9")
        client.register("192.0.2.9")
        assert older.requests == ["POST /api/nodes/register", "POST /api/nodes", "POST /api/nodes"]


def test_an_orchestrator_that_is_brought_up_to_date_is_found_again(make_settings: MakeSettings) -> None:
    """The path that was remembered is no dead end."""
    with running_orchestrator("/api/nodes") as fake:
        client = OrchestratorClient(make_settings(fake))
        client.register("192.0.2.9")
        fake.register_path = "/api/nodes/register"
        client.register("192.0.2.10")
        assert fake.nodes["node-a"]["ipAddress"] == "192.0.2.10"


def test_neither_path_is_a_refusal_in_words(make_settings: MakeSettings) -> None:
    """Some other service at the address is named with its status."""
    with running_orchestrator("/elsewhere") as other:
        with pytest.raises(OrchestratorFailed, match=r"refused \(404\): Not Found\.$") as failed:
            OrchestratorClient(make_settings(other)).register("192.0.2.9")
        assert failed.value.permanent


def test_a_heartbeat_is_what_stats_says(orchestrator: FakeOrchestrator, make_settings: MakeSettings) -> None:
    """The body goes as it is, under the node's own name."""
    client = OrchestratorClient(make_settings(orchestrator))
    client.register("192.0.2.9")
    client.heartbeat(STATS)
    assert orchestrator.heartbeats == [("node-a", STATS)]


def test_a_refused_heartbeat_says_why(orchestrator: FakeOrchestrator, make_settings: MakeSettings) -> None:
    """What the orchestrator gives as its reason is in the sentence."""
    with pytest.raises(OrchestratorFailed, match=r"refused \(400\): cpuUsage, .* required\.$"):
        OrchestratorClient(make_settings(orchestrator)).heartbeat({**STATS, "cpuUsage": None})


@pytest.mark.parametrize(
    ("fault", "code", "permanent"),
    [
        ("500", "orchestrator_failed", False),
        ("400", "orchestrator_refused", True),
        ("html", "orchestrator_unknown", True),
        ("redirect", "orchestrator_refused", True),
        ("garbage", "orchestrator_unreachable", False),
        ("reset", "orchestrator_unreachable", False),
        ("slow", "orchestrator_timeout", False),
        ("slow_body", "orchestrator_timeout", False),
        ("trickle", "orchestrator_timeout", False),
        ("endless", "orchestrator_unknown", True),
    ],
)
def test_each_fault_has_its_name(
    orchestrator: FakeOrchestrator, make_settings: MakeSettings, fault: Fault, code: str, *, permanent: bool
) -> None:
    """Whatever answers, the caller gets one error with a code and a printable sentence, soon."""
    orchestrator.fault = fault
    client = OrchestratorClient(make_settings(orchestrator, HEARTBEAT_TIMEOUT="0.3"))
    began = time.monotonic()
    with pytest.raises(OrchestratorFailed) as failed:
        client.register("192.0.2.9")
    assert time.monotonic() - began < 5
    assert (failed.value.code, failed.value.permanent) == (code, permanent)
    assert failed.value.message.startswith(f"The orchestrator at http://127.0.0.1:{orchestrator.port} ")
    assert failed.value.message.isprintable()
    assert failed.value.message.endswith(".")


def test_a_redirect_is_not_followed(orchestrator: FakeOrchestrator, make_settings: MakeSettings) -> None:
    """The other address is never asked."""
    orchestrator.fault = "redirect"
    with pytest.raises(OrchestratorFailed, match=r"\(307\)"):
        OrchestratorClient(make_settings(orchestrator)).heartbeat(STATS)
    assert orchestrator.requests == ["POST /api/nodes/node-a/stats"]


@pytest.mark.parametrize("host", ["127.0.0.1", "x" * 70, "no..name"])
def test_nobody_there_is_unreachable_or_no_http(make_settings: MakeSettings, host: str) -> None:
    """A dead port and a host that is none are errors of ours, never the library's."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    client = OrchestratorClient(make_settings(ORCHESTRATOR_HOST=host, ORCHESTRATOR_PORT=str(port)))
    with pytest.raises(OrchestratorFailed) as failed:
        client.heartbeat(STATS)
    assert failed.value.code in {"orchestrator_unreachable", "orchestrator_failed"}


def test_no_secret_is_sent(
    orchestrator: FakeOrchestrator,
    make_settings: MakeSettings,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither our keys nor a .netrc of the machine reach the orchestrator, in headers or body."""
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password marked-netrc\n")
    monkeypatch.setenv("NETRC", str(netrc))
    client = OrchestratorClient(make_settings(orchestrator, RATHOLE_TOKEN="marked-token", ACCESS_TOKEN="marked-access"))
    client.register("192.0.2.9")
    client.heartbeat(STATS)
    client.offline()
    said = repr((orchestrator.headers, orchestrator.nodes, orchestrator.heartbeats))
    assert "marked" not in said
    assert API_KEY not in said
    assert "Authorization" not in said


def test_a_proxy_of_the_environment_is_not_used(
    orchestrator: FakeOrchestrator, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The orchestrator is called directly: its address is for this network."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    OrchestratorClient(make_settings(orchestrator)).register("192.0.2.9")
    assert "node-a" in orchestrator.nodes


def test_goodbye_is_said(orchestrator: FakeOrchestrator, make_settings: MakeSettings) -> None:
    """The orchestrator hears at once that the node goes, and is sent nothing but that."""
    send_offline(make_settings(orchestrator))
    assert orchestrator.offline == ["node-a"]


@pytest.mark.parametrize("fault", ["500", "html", "garbage", "reset", "endless"])
def test_a_goodbye_that_fails_ends_nothing(
    orchestrator: FakeOrchestrator, make_settings: MakeSettings, fault: Fault
) -> None:
    """A process that exits goes on doing so, and the log says that the orchestrator was not told."""
    orchestrator.fault = fault
    with capture_logs() as logs:
        send_offline(make_settings(orchestrator))
    assert [entry["event"] for entry in logs] == ["The orchestrator was not told that this node goes; it will notice."]


def test_a_goodbye_waits_three_seconds_at_most(orchestrator: FakeOrchestrator, make_settings: MakeSettings) -> None:
    """A frozen orchestrator does not hold up the agent's end, whatever HEARTBEAT_TIMEOUT says."""
    orchestrator.fault = "slow"
    began = time.monotonic()
    send_offline(make_settings(orchestrator, HEARTBEAT_TIMEOUT="60"))
    assert time.monotonic() - began < 4


def test_without_an_orchestrator_nobody_is_told() -> None:
    """An agent that runs alone says no goodbye and does not complain."""
    with capture_logs() as logs:
        send_offline(load_settings({"NODE_ID": "n", "HOST_AGENT_API_KEY": API_KEY, "ORCHESTRATOR_HOST": ""}))
    assert logs == []
