"""A game that dies too often is given up, with the end of its log; until someone starts it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from compose.container import Container
from core.errors import DockerUnavailable
from core.servers import Server, ServerTable
from core.settings import load_settings
from core.store import Store
from provisioning.budget import Deaths
from provisioning.crashes import Crash, Crashes
from tests.unit.core.conftest import spec_of

ID = "srv_a_00000001"
FIRST = Container(
    id="c1",
    name=ID,
    status="running",
    created="2026-01-01T00:00:00Z",
    started_at="2026-01-01T00:00:00Z",
    finished_at="0001-01-01T00:00:00Z",
    exit_code=0,
    oom_killed=False,
    restart_count=0,
    image="game:1",
    labels={},
    network_ids={},
    ip="192.0.2.2",
    ports=None,
    health=None,
    volumes=(),
)


class Stage:
    """One server, its deaths, and an agent that can begin anew."""

    def __init__(self, store: Store) -> None:
        self.table = ServerTable(store)
        self.now = 1_000_000.0
        self.container = FIRST
        self.log = "\n".join(f"line {number}" for number in range(50))
        self.asked: list[tuple[str, int]] = []
        self.docker_away = False
        self.restart_agent()

    def restart_agent(self) -> None:
        """Forget all that is not on disk."""
        settings = load_settings({"HOST_AGENT_API_KEY": "k" * 16, "RESTART_BUDGET": "3", "RESTART_WINDOW": "100"})
        self.crashes = Crashes(settings, self.table, logs=self._logs, wall=lambda: self.now)

    def _logs(self, name: str, tail: int) -> str:
        self.asked.append((name, tail))
        if self.docker_away:
            raise DockerUnavailable("docker_silent", "It does not answer.")
        return self.log

    @property
    def server(self) -> Server:
        """The row as it is now."""
        found = self.table.get(ID)
        assert found
        return found

    def look(self, *, ready: bool) -> Server:
        """Look once; what is returned is what is kept."""
        seen = self.crashes.follow(self.server, self.container, ready=ready)
        assert seen == self.server
        return seen

    def die(self, **changes: object) -> Server:
        """Let the game be ready, then die."""
        self.look(ready=True)
        self.container = replace(
            self.container,
            restart_count=self.container.restart_count + 1,
            status="restarting",
            **changes,  # type: ignore[arg-type]
        )
        return self.look(ready=False)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """Return one server that runs."""
    store = Store(tmp_path / "agent.db")
    stage = Stage(store)
    stage.table.add(spec_of())
    yield stage
    store.close()


def test_the_third_of_three_deaths_gives_it_up(stage: Stage) -> None:
    """It keeps the last 50 lines of the log, and a sentence that says what to do."""
    assert not stage.die().crashed
    assert not stage.die().crashed
    assert stage.die().crashed
    crash = Crash.of(stage.server)
    assert crash
    assert crash.reason == "died_too_often"
    assert "died 3 times within 100 s" in crash.message
    assert crash.log == tuple(stage.log.splitlines())
    assert stage.asked == [(ID, 50)]


def test_deaths_are_counted_over_restarts_of_the_agent(stage: Stage) -> None:
    """An agent that dies with its games is none the wiser otherwise."""
    stage.die()
    stage.restart_agent()
    stage.die()
    stage.restart_agent()
    assert stage.die().crashed


def test_deaths_far_apart_are_forgiven(stage: Stage) -> None:
    """Three in a day are no crash loop."""
    for _ in range(6):
        stage.die()
        stage.now += 60
    assert not stage.server.crashed


def test_a_game_that_was_never_ready_is_tried_for_ever(stage: Stage) -> None:
    """What is told instead is how often it was."""
    stage.look(ready=False)
    for number in range(1, 20):
        stage.container = replace(FIRST, restart_count=number)
        stage.look(ready=False)
    assert not stage.server.crashed
    assert Deaths.from_json(stage.server.deaths).unready == 19


def test_a_want_of_memory_is_named(stage: Stage) -> None:
    """The operator can do something about it."""
    for _ in range(3):
        stage.die(oom_killed=True)
    crash = Crash.of(stage.server)
    assert crash
    assert crash.reason == "oom_killed"
    assert "ramAllocation" in crash.message


def test_a_log_that_cannot_be_had_keeps_no_game_alive(stage: Stage) -> None:
    """It is given up without."""
    stage.docker_away = True
    for _ in range(3):
        stage.die()
    crash = Crash.of(stage.server)
    assert stage.server.crashed
    assert crash
    assert crash.log == ()


def test_an_endless_line_does_not_fill_the_store(stage: Stage) -> None:
    """What is kept of the log is bounded in bytes too."""
    stage.log = "x" * 10**6
    for _ in range(3):
        stage.die()
    assert len(stage.server.last_crash or "") < 20_000


def test_what_is_not_wanted_is_not_counted(stage: Stage) -> None:
    """A game that is stopped, given up or removed has no deaths any more."""
    for wish in ({"container_wanted": False}, {"crashed": True}, {"deleting": True}):
        server = replace(stage.server, **wish)  # type: ignore[arg-type]
        assert stage.crashes.follow(server, FIRST, ready=True) == server
    assert stage.crashes.follow(stage.server, None, ready=False) == stage.server
    assert stage.server.deaths is None


def test_a_look_that_shows_nothing_new_writes_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one each second while a game loads."""
    stage.look(ready=True)
    monkeypatch.setattr(stage.table, "update", None)
    stage.look(ready=True)
