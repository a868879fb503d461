"""Changes that wait never close the door to those who only look."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.fakes.face import SERVER_ID, Face
from tests.waiting import wait_until

PLACES = 32


def test_changes_beyond_the_places_are_told_to_come_back(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 33rd change at once is 503 with Retry-After, while reads and the health are answered."""
    waiting, let_go = threading.Semaphore(0), threading.Event()

    def slow(*_words: object) -> None:
        waiting.release()
        assert let_go.wait(30)

    monkeypatch.setattr(face.servers, "knows", lambda _server_id: True)
    monkeypatch.setattr(face.servers, "delete", slow)
    path = f"/api/containers/{SERVER_ID}/delete"
    with ThreadPoolExecutor(PLACES) as pool:
        callers = [pool.submit(face.delete, path) for _ in range(PLACES)]
        wait_until(lambda: waiting._value == PLACES, within=20, saying="all places are taken")
        refused = face.delete(path)
        health, listed = face.stranger.get("/healthz"), face.get("/api/containers")
        let_go.set()
    assert refused.status_code == 503
    assert refused.json is not None
    assert refused.json["code"] == "busy"
    assert int(refused.headers["Retry-After"]) > 0
    assert (health.status_code, listed.status_code) == (200, 200)
    assert [caller.result().status_code for caller in callers] == [200] * PLACES
    assert face.delete(path).status_code == 200
