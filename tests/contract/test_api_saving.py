"""What stop and restart say of the save before the game's end."""

from dataclasses import replace

import pytest

from core.models import OperationKind, OperationStatus, Phase, Saved, SaveOutcome
from core.operations import Operation
from tests.fakes.face import SERVER_ID, Face, make_face

WHOLE = SaveOutcome(Saved.TRUE, "agent_stop_20260131T120000Z.sav", 1.25, "")
FAILED = SaveOutcome(Saved.FALSE, None, 120.0, "The game refused with 'save_game_failed'.")
IMPOSSIBLE = SaveOutcome(Saved.IMPOSSIBLE, None, 0.1, "Nobody gave the agent the right.")


@pytest.fixture
def face() -> Face:
    """Return a face behind which one server runs."""
    face = make_face()
    assert face.spawn().status_code == 200
    return face


@pytest.mark.parametrize("action", ["stop", "restart"])
@pytest.mark.parametrize(
    ("save", "said"),
    [
        (WHOLE, (True, "agent_stop_20260131T120000Z.sav", 1.25)),
        (IMPOSSIBLE, ("impossible", None, 0.1)),
        (None, (None, None, None)),
    ],
)
def test_the_answer_says_what_came_of_the_save(
    face: Face, action: str, save: SaveOutcome | None, said: tuple[object, ...]
) -> None:
    """Saved, impossible, or nothing to save."""
    face.servers.save = save
    answer = face.post(f"/api/containers/{action}", {"serverId": SERVER_ID})
    assert answer.status_code == 200
    assert (answer.json["saved"], answer.json["file"], answer.json["seconds"]) == said


def test_a_person_reads_why_it_was_not_saved(face: Face) -> None:
    """The sentence tells it, too."""
    face.servers.save = IMPOSSIBLE
    message = face.post("/api/containers/stop", {"serverId": SERVER_ID}).json["message"]
    assert message.endswith("It was not saved: Nobody gave the agent the right.")


@pytest.mark.parametrize("action", ["stop", "restart"])
@pytest.mark.parametrize("force", [{}, {"force": None}, {"force": False}])
def test_a_game_that_cannot_be_saved_goes_on(face: Face, action: str, force: dict[str, object]) -> None:
    """Without `force` the answer is a refusal with the reason, and with what came of the save."""
    face.servers.save = FAILED
    answer = face.post(f"/api/containers/{action}", {"serverId": SERVER_ID, **force})
    assert (answer.status_code, answer.json["code"]) == (409, "save_failed")
    said = answer.json["details"]
    assert (said["reason"], said["saved"], said["file"], said["seconds"]) == (FAILED.message, False, None, 120.0)
    assert face.servers.running[SERVER_ID].phase is Phase.STARTING


@pytest.mark.parametrize("action", ["stop", "restart"])
def test_who_insists_ends_it_unsaved(face: Face, action: str) -> None:
    """With `force` it is ended, and the answer says that it was not saved."""
    face.servers.save = FAILED
    answer = face.post(f"/api/containers/{action}", {"serverId": SERVER_ID, "force": True})
    assert (answer.status_code, answer.json["saved"], answer.json["file"]) == (200, False, None)


def test_force_is_true_or_false(face: Face) -> None:
    """Anything else is named as wrong, and nothing is ended."""
    answer = face.post("/api/containers/stop", {"serverId": SERVER_ID, "force": "yes"})
    assert answer.status_code == 422
    assert "force" in answer.json["details"]


def test_the_operation_keeps_it(face: Face) -> None:
    """Who asks later reads it at the operation."""
    operation = Operation(
        operation_id="0017",
        server_id=SERVER_ID,
        kind=OperationKind.STOP,
        status=OperationStatus.SUCCEEDED,
        force=False,
        step="stop_container",
        save=WHOLE,
        started_at="2026-01-31T12:00:00.000Z",
        ended_at="2026-01-31T12:00:09.000Z",
        error_code=None,
        error_message=None,
    )
    face.servers.running[SERVER_ID] = replace(face.servers.running[SERVER_ID], operation=operation)
    told = face.get(f"/api/containers/{SERVER_ID}/status").json["agent"]["operation"]
    assert (told["saved"], told["file"], told["seconds"]) == (True, WHOLE.file, WHOLE.seconds)
