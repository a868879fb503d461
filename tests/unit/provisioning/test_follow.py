"""The plan of the tunnel that follows its game, and the sentence for each thing that is mended."""

from dataclasses import replace

import pytest

from core.models import Ports
from provisioning.mending import Mending, sentence
from provisioning.plan import Action, plan
from provisioning.watchdog import Verdict
from tests.unit.provisioning.paper import RUNNING, SEEN, SERVER, SPEC

PORTS, CONTAINER = SPEC.ports, RUNNING
WELL = replace(SEEN, manager_due=True)
MOVED = replace(CONTAINER, address="192.0.2.9")
RESTARTED = replace(CONTAINER, started_at="2026-01-01T11:00:00Z", address="192.0.2.9")
BOUNCE = {Action.BOUNCE_TUNNEL}


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        pytest.param({}, set(), id="nothing changed"),
        pytest.param({"container": RESTARTED}, BOUNCE, id="started again, and it answers"),
        pytest.param({"container": RESTARTED, "address_settled": False}, BOUNCE, id="at once, for its players wait"),
        pytest.param({"container": RESTARTED, "game_answers": False}, set(), id="started again, silent so far"),
        pytest.param({"container": MOVED}, BOUNCE, id="another address without a start"),
        pytest.param({"container": MOVED, "address_settled": False}, set(), id="another address, for a moment"),
        pytest.param({"path": Verdict.BOUNCE}, BOUNCE, id="nothing comes through"),
        pytest.param({"path": Verdict.FAILED}, set(), id="nothing comes through, and it was tried"),
        pytest.param({"tunnel_runs": False}, {Action.RUN_TUNNEL}, id="no client"),
        pytest.param({"instance_refused": True}, {Action.REMAKE_INSTANCE}, id="refused for long"),
        pytest.param({"instance_refused": True, "manager_due": False}, set(), id="refused, and just asked"),
        pytest.param({"instance_stale": True}, {Action.ASK_MANAGER}, id="refused for a moment"),
        pytest.param({"compose_file_right": False}, {Action.WRITE_COMPOSE_FILE}, id="compose file edited"),
        pytest.param({"client_file_right": False}, {Action.WRITE_CLIENT_CONFIG}, id="client.toml edited"),
        pytest.param(
            {"container": replace(CONTAINER, on_network=False, joinable=True)},
            {Action.JOIN_NETWORK},
            id="taken off the network",
        ),
        pytest.param(
            {"container": replace(CONTAINER, on_network=False, joinable=True), "network_present": False},
            {Action.ENSURE_NETWORK},
            id="and the network is gone",
        ),
    ],
)
def test_what_follows(changes: dict[str, object], wanted: set[Action]) -> None:
    """Each thing that can happen to a game that runs, and what is done; a running game itself is left alone."""
    assert plan(SERVER, PORTS, replace(WELL, **changes)) == wanted  # type: ignore[arg-type]


def test_one_bounce_for_one_restart() -> None:
    """Once it is marked nothing more follows, whoever looks: an agent that begins anew reads the same row."""
    seen = replace(WELL, container=RESTARTED)
    assert plan(SERVER, PORTS, seen) == BOUNCE
    assert plan(replace(SERVER, bounced_for=RESTARTED.run), PORTS, seen) == set()


def test_a_game_that_was_given_up_is_stopped_and_stays_so() -> None:
    """Its tunnel goes first; then nothing brings it back but a start."""
    crashed = replace(SERVER, crashed=True)
    assert plan(crashed, PORTS, WELL) == {Action.STOP_TUNNEL}
    assert plan(crashed, PORTS, replace(WELL, tunnel_runs=False)) == {Action.STOP_CONTAINER}
    ended = replace(WELL, tunnel_runs=False, container=replace(CONTAINER, status="exited"), game_answers=False)
    assert plan(crashed, PORTS, ended) == set()
    assert plan(replace(crashed, crashed=False), PORTS, ended) == {Action.UP}


@pytest.mark.parametrize("action", list(Action))
def test_each_thing_that_is_mended_has_its_sentence(action: Action) -> None:
    """It says what is wrong and what is done about it."""
    text = sentence(action, SERVER, PORTS, WELL)
    assert text.endswith(".")
    assert ";" in text


@pytest.mark.parametrize(
    ("action", "changes", "words"),
    [
        (Action.UP, {"container": None}, "There is no container"),
        (Action.UP, {"container": replace(CONTAINER, status="exited")}, "The container is exited"),
        (Action.STOP_CONTAINER, {"container": replace(CONTAINER, ports=Ports(1, 2))}, "public port is now 30000"),
        (Action.STOP_CONTAINER, {"container": replace(CONTAINER, on_network=False)}, "nobody can reach it"),
        (Action.STOP_CONTAINER, {}, "to be restarted"),
        (Action.BOUNCE_TUNNEL, {"path": Verdict.BOUNCE}, "not through its tunnel"),
        (Action.BOUNCE_TUNNEL, {"container": MOVED}, "another address"),
        (Action.BOUNCE_TUNNEL, {"container": RESTARTED}, "answers again"),
        (Action.ASK_MANAGER, {}, "does not know"),
    ],
)
def test_the_sentence_names_what_was_wrong(action: Action, changes: dict[str, object], words: str) -> None:
    """Not just that something was."""
    assert words in sentence(action, SERVER, PORTS, replace(WELL, **changes))  # type: ignore[arg-type]


def test_each_is_said_once_until_all_was_well(capsys: pytest.CaptureFixture[str]) -> None:
    """A mend that fails is tried again and again; the log says it once."""
    mending = Mending()
    for _ in range(3):
        mending.say({Action.UP}, SERVER, PORTS, replace(WELL, container=None))
    mending.all_well()
    mending.say({Action.UP}, SERVER, PORTS, replace(WELL, container=None))
    said = capsys.readouterr()
    assert (said.out + said.err).count("There is no container") == 2
