"""What is said of a server: each phase and each reason as a row."""

from dataclasses import replace
from typing import Any

import pytest

from core.errors import AgentError, ManagerFailed
from core.models import OperationKind, OperationStatus, Phase, Ports, TunnelReason, TunnelState
from core.operations import Operation
from core.settings import load_settings
from provisioning.budget import Deaths
from provisioning.crashes import Crash
from provisioning.games import SILENT, GameSeen
from provisioning.observe import Look
from provisioning.view import Facts, view_of
from provisioning.watchdog import Verdict
from rathole.status import TunnelStatus
from tests.unit.provisioning.paper import GRANTED, SEEN, SERVER, STOPPED
from tests.unit.provisioning.test_crashes import FIRST

SETTINGS = load_settings(
    {"NODE_ID": "n", "HOST_AGENT_API_KEY": "0123456789abcdef", "RATHOLE_INSTANCE_MANAGER_HOST": "vps.example.org"}
)
NOW = "2026-01-01T00:00:00Z"
READY = Look(SEEN, None, GameSeen(answers=True, ready=True), differs=False, observed_at=NOW)
LOADING = replace(READY, game=SILENT)
DOWN = replace(READY, seen=replace(SEEN, container=STOPPED), game=SILENT)
UP = TunnelStatus(TunnelState.UP, None, "All services are connected.", NOW)
NO_TUNNEL = TunnelStatus(TunnelState.STOPPED, None, "No client shall run.", NOW)
LOST = TunnelStatus(TunnelState.CONNECTING, TunnelReason.VPS_UNREACHABLE, "The VPS cannot be reached.", NOW)
PROVISION = Operation(
    "1",
    "a",
    OperationKind.PROVISION,
    OperationStatus.RUNNING,
    force=False,
    step="up",
    save=None,
    started_at=NOW,
    ended_at=None,
    error_code=None,
    error_message=None,
)
CRASH = Crash(NOW, "died_too_often", "The game died 5 times within 600 s.", ("the last line",))
CRASHED = {"crashed": True, "last_crash": CRASH.to_json()}
SILENT_PATH = replace(READY, seen=replace(SEEN, path=Verdict.FAILED))
KEEPS = SETTINGS.model_copy(update={"port_policy": "keep"})
GOOD = Facts(SETTINGS, SERVER, READY, UP, None, None, in_container=True)


def facts(*, server: dict[str, Any] | None = None, **more: Any) -> Facts:  # noqa: ANN401 - fields of Facts
    """Return those of a server in good order, with changes."""
    return replace(GOOD, server=replace(SERVER, **(server or {})), **more)


PHASES: dict[str, tuple[Facts, Phase, str | None]] = {
    "players can join": (facts(), Phase.READY, None),
    "it is being set up": (facts(operation=PROVISION, look=None), Phase.PROVISIONING, None),
    "an operation that has ended is not under way": (
        facts(operation=replace(PROVISION, status=OperationStatus.SUCCEEDED)),
        Phase.READY,
        None,
    ),
    "nobody has looked yet": (facts(look=None), Phase.STARTING, None),
    "the game loads": (facts(look=LOADING), Phase.STARTING, None),
    "the container is down and shall run": (facts(look=DOWN), Phase.STARTING, None),
    "it cannot be run": (
        facts(look=DOWN, server={"failure_code": "no_space", "failure_message": "The disk is full."}),
        Phase.FAILED,
        "no_space",
    ),
    "a failure of before does not count while it runs": (facts(server={"failure_code": "no_space"}), Phase.READY, None),
    "its tunnel is down": (facts(tunnel=LOST), Phase.DEGRADED, "vps_unreachable"),
    "it is being stopped": (facts(server={"container_wanted": False}), Phase.STOPPING, None),
    "it is stopped": (facts(server={"container_wanted": False}, look=DOWN), Phase.STOPPED, None),
    "somebody stopped it": (facts(server={"stopped_externally": True}, look=DOWN), Phase.STOPPED_EXTERNALLY, None),
    "it died too often": (facts(server=CRASHED, look=DOWN), Phase.CRASHED, "died_too_often"),
    "it died too often, and was stopped": (
        facts(server=CRASHED | {"container_wanted": False}, look=DOWN),
        Phase.STOPPED,
        None,
    ),
    "it was given up before, and runs again": (facts(server=CRASHED | {"crashed": False}), Phase.READY, None),
    "it died before it was ready": (
        facts(server={"deaths": Deaths(unready=2).to_json()}, look=LOADING),
        Phase.STARTING,
        "died_before_ready",
    ),
    "it died for want of memory": (
        facts(server={"deaths": Deaths(oom_killed=True).to_json()}, look=LOADING),
        Phase.STARTING,
        "oom_killed",
    ),
    "it is being removed": (facts(server={"deleting": True}, operation=PROVISION), Phase.DELETING, None),
}


@pytest.mark.parametrize("case", PHASES)
def test_phase(case: str) -> None:
    """Each has one phase, its reason, and a sentence."""
    given, phase, reason = PHASES[case]
    view = view_of(given)
    assert (view.phase, view.reason) == (phase, reason)
    assert view.message.endswith((".", ")"))


def fault(code: str, **details: object) -> AgentError:
    """Return an error of the manager's."""
    return ManagerFailed(code, "The manager does not want it.", **details)


TUNNELS: dict[str, tuple[Facts, TunnelState, str | None]] = {
    "it is up": (facts(), TunnelState.UP, None),
    "the manager is away": (
        facts(server={"client_config": None}, tunnel=NO_TUNNEL, manager_fault=fault("manager_unreachable")),
        TunnelState.BACKOFF,
        "manager_unreachable",
    ),
    "the manager talks nonsense": (
        facts(server={"client_config": None}, tunnel=NO_TUNNEL, manager_fault=fault("manager_failed")),
        TunnelState.BACKOFF,
        "manager_unreachable",
    ),
    "the manager wants a token": (
        facts(server={"client_config": None}, tunnel=NO_TUNNEL, manager_fault=fault("auth_refused")),
        TunnelState.BACKOFF,
        "auth_refused",
    ),
    "the port is taken at the VPS": (
        facts(server={"client_config": None}, tunnel=NO_TUNNEL, manager_fault=fault("manager_refused", status=409)),
        TunnelState.BACKOFF,
        "port_taken",
    ),
    "the manager's fault does not count for a tunnel that is there": (
        facts(manager_fault=fault("manager_unreachable")),
        TunnelState.UP,
        None,
    ),
    "nothing comes through it": (facts(look=SILENT_PATH), TunnelState.DEGRADED, "data_path_failed"),
    "it leads to ports that the game does not have": (
        facts(settings=KEEPS, server={"public_ports": GRANTED}),
        TunnelState.DEGRADED,
        "port_mismatch",
    ),
    "the game is down": (facts(look=DOWN, tunnel=NO_TUNNEL), TunnelState.STOPPED, "container_down"),
    "it is not wanted": (
        facts(server={"tunnel_wanted": False, "client_config": None}, tunnel=NO_TUNNEL),
        TunnelState.STOPPED,
        None,
    ),
    "the agent is in no container": (facts(in_container=False, tunnel=NO_TUNNEL), TunnelState.STOPPED, None),
    "there is no manager": (
        facts(
            settings=SETTINGS.model_copy(update={"rathole_instance_manager_host": ""}),
            server={"client_config": None},
            tunnel=NO_TUNNEL,
        ),
        TunnelState.STOPPED,
        None,
    ),
}


@pytest.mark.parametrize("case", TUNNELS)
def test_tunnel(case: str) -> None:
    """Each has a state, the reason where there is one, and a sentence."""
    given, state, reason = TUNNELS[case]
    tunnel = view_of(given).tunnel
    assert (tunnel.state, tunnel.reason) == (state, reason)
    assert tunnel.message


@pytest.mark.parametrize(
    ("server", "settings", "address"),
    [
        ({"public_host": "play.example.org", "public_ports": GRANTED}, {}, "play.example.org:40000"),
        ({"public_ports": GRANTED}, {}, "vps.example.org:40000"),
        ({"public_host": "other.example.org"}, {"rathole_public_host": "2001:db8::1"}, "[2001:db8::1]:30000"),
        ({"client_config": None}, {}, None),
        ({"client_config": None}, {"publish_ports": True, "advertise_address": "192.0.2.7"}, "192.0.2.7:30000"),
    ],
)
def test_public_address(server: dict[str, Any], settings: dict[str, Any], address: str | None) -> None:
    """What players type: nobody knows it before the ports were granted."""
    given = facts(server=server, settings=SETTINGS.model_copy(update=settings))
    assert view_of(given).public_address == address


def test_ports_and_changes_that_wait() -> None:
    """The public ports stand beside the requested ones; another template is applied at the next stop and start."""
    edited = replace(READY, differs=True)
    view = view_of(facts(server={"public_ports": GRANTED}, look=edited))
    assert (view.ports, view.requested_ports) == (GRANTED, Ports(30000, 31000))
    assert view.pending_changes
    assert not view_of(facts(look=replace(edited, seen=replace(edited.seen, container=None)))).pending_changes


def test_the_words_of_a_view_are_those_of_the_closed_lists() -> None:
    """Every phase has a row above."""
    assert {phase for _, phase, _ in PHASES.values()} == set(Phase)


def test_how_a_game_was_given_up_is_told_as_long_as_it_is_known() -> None:
    """With the end of its log, after the next start too."""
    assert view_of(facts(server=CRASHED)).last_crash == CRASH
    assert view_of(facts(server=CRASHED | {"crashed": False})).last_crash == CRASH
    assert view_of(facts()).last_crash is None


def test_a_game_that_nobody_looked_at_may_run() -> None:
    """Else all games would count as stopped before the first look."""
    seen = replace(READY, container=FIRST)
    assert view_of(facts(look=None)).may_run
    assert view_of(facts(look=seen)).may_run
    assert not view_of(facts(look=replace(seen, container=replace(FIRST, status="exited")))).may_run
    assert not view_of(facts(look=DOWN)).may_run
