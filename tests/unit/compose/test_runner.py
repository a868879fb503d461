"""Running `docker compose`, with an executable on PATH in its place."""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from compose.runner import Compose
from core.errors import ComposeFailed, DeadlinePassed, DockerUnavailable
from core.proc import ProcessIdentity, identify, is_running
from tests.unit.compose.conftest import FakeDocker
from tests.waiting import wait_until

FILE = Path("/data/satisfactory/srv_JohnDoe/docker-compose.yml")


def environ(docker: FakeDocker, **more: str) -> dict[str, str]:
    """Return an environment in which the fake is `docker`."""
    return {"PATH": f"{docker.folder}:{os.environ['PATH']}", "HOME": "/root", **more}


@dataclass
class FakeRecords:
    """Keeps children in a dict, and notes whether each ran when it was kept, and in which session."""

    kept: dict[str, tuple[ProcessIdentity, str]] = field(default_factory=dict)
    seen: list[tuple[str, ProcessIdentity, bool, int]] = field(default_factory=list)

    def record(self, server_id: str, identity: ProcessIdentity, started_at: str) -> None:
        """Keep a child."""
        self.kept[server_id] = (identity, started_at)
        self.seen.append((server_id, identity, is_running(identity), os.getsid(identity.pid)))

    def forget(self, server_id: str) -> None:
        """Drop it."""
        self.kept.pop(server_id, None)

    def all(self) -> dict[str, tuple[ProcessIdentity, str]]:
        """Return all."""
        return dict(self.kept)


def compose(docker: FakeDocker, records: FakeRecords | None = None, *, up_deadline: float = 120.0) -> Compose:
    """Return a runner that calls the fake."""
    return Compose(environ(docker), records or FakeRecords(), up_deadline=up_deadline)


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended; a zombie has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_up_names_project_and_file_and_pulls_nothing(docker: FakeDocker) -> None:
    """The project is the id in lower case, since Compose allows no other; a pull has its own deadline."""
    compose(docker).up("srv_JohnDoe", FILE)
    assert docker.seen["argv"] == [
        *["compose", "-p", "srv_johndoe", "-f", str(FILE)],
        *["up", "--detach", "--pull", "never"],
    ]


def test_up_can_make_the_container_anew(docker: FakeDocker) -> None:
    """The remedy for a network that was made anew."""
    compose(docker).up("srv_JohnDoe", FILE, recreate=True)
    assert docker.seen["argv"][-1] == "--force-recreate"


def test_no_secret_reaches_the_child(docker: FakeDocker) -> None:
    """Compose would fill the agent's variables into the file; it sees PATH, HOME and DOCKER_* only."""
    given = environ(docker, DOCKER_HOST="unix:///x.sock", RATHOLE_TOKEN="hunter2", HOST_AGENT_API_KEY="key")
    Compose(given, FakeRecords()).up("srv_a", FILE)
    seen = {name for name in docker.seen["env"] if name != "LC_CTYPE"}  # which Python sets itself
    assert seen == {"PATH", "HOME", "DOCKER_HOST"}


def test_a_failure_is_told_in_a_sentence(docker: FakeDocker) -> None:
    """Exit code and stderr become an error with a code."""
    docker.order(code=1, stderr="Error response from daemon: network satis_network not found\n")
    with pytest.raises(ComposeFailed) as caught:
        compose(docker).up("srv_a", FILE)
    assert caught.value.code == "network_missing"


def test_an_engine_that_is_away_is_another_family(docker: FakeDocker) -> None:
    """The caller can tell "Docker is away" (503) from "Docker refused" (502)."""
    docker.order(code=1, stderr="Cannot connect to the Docker daemon at unix:///var/run/docker.sock.\n")
    with pytest.raises(DockerUnavailable):
        compose(docker).up("srv_a", FILE)


def test_warnings_alone_are_no_failure(docker: FakeDocker) -> None:
    """Only the exit code says that it failed."""
    docker.order(stderr='Warning: No resource found to remove for project "srv_a".\n')
    compose(docker).up("srv_a", FILE)


def test_a_missing_docker_is_named(tmp_path: Path) -> None:
    """A host without Docker's command line gets a sentence, not a traceback."""
    with pytest.raises(DockerUnavailable) as caught:
        Compose({"PATH": str(tmp_path)}, FakeRecords()).up("srv_a", FILE)
    assert caught.value.code == "docker_missing"


def test_the_deadline_kills_the_whole_group(docker: FakeDocker) -> None:
    """A hung `docker compose` that ignores SIGTERM, and its children, are gone when the error is raised."""
    docker.order(hang=True, fork=True, ignore_term=True)
    with pytest.raises(DeadlinePassed) as caught:
        compose(docker, up_deadline=1.0).up("srv_a", FILE)
    assert "1 s" in caught.value.message
    for pid in (docker.seen["pid"], docker.seen["child"]):
        wait_until(partial(is_gone, pid), within=5, saying=f"process {pid} has ended")


def test_the_child_is_recorded_while_it_runs(docker: FakeDocker) -> None:
    """A successor of the agent can find a child that outlived it: it is kept before it ends, and no longer."""
    records = FakeRecords()
    docker.order(stdout="done")
    compose(docker, records).up("srv_JohnDoe", FILE)
    ((server, identity, ran, _),) = records.seen
    assert (server, ran) == ("srv_JohnDoe", True)
    assert identity.pid == docker.seen["pid"]
    assert not is_running(identity)
    assert records.kept == {}


def test_a_child_that_failed_is_forgotten(docker: FakeDocker) -> None:
    """Whatever came of it, it does not run any more."""
    records = FakeRecords()
    docker.order(code=1, stderr="Error response from daemon: network satis_network not found\n")
    with pytest.raises(ComposeFailed):
        compose(docker, records).up("srv_a", FILE)
    assert len(records.seen) == 1
    assert records.kept == {}


def test_the_child_has_a_session_of_its_own(docker: FakeDocker) -> None:
    """A signal to the agent's group, as from a terminal, does not cut an `up` in two."""
    records = FakeRecords()
    compose(docker, records).up("srv_a", FILE)
    ((_, identity, _, session),) = records.seen
    assert session == identity.pid


@pytest.fixture
def orphan(docker: FakeDocker) -> Iterator["subprocess.Popen[bytes]"]:
    """Yield a `docker compose up` of srv_A that hangs, as a dead agent leaves it."""
    docker.order(hang=True)
    argv = ["docker", "compose", "-p", "srv_a", "up"]
    process = subprocess.Popen(argv, env=environ(docker), start_new_session=True)
    # In its place in the test's process tree nobody reaps it, as tini does in the container.
    threading.Thread(target=process.wait, daemon=True).start()
    wait_until(lambda: docker.seen["pid"] == process.pid, within=10, saying="the fake runs")
    yield process
    process.kill()


def known(docker: FakeDocker) -> FakeRecords:
    """Return records in which the orphan stands."""
    identity = identify(docker.seen["pid"])
    assert identity
    return FakeRecords({"srv_A": (identity, "now")})


def test_an_orphan_that_ends_is_waited_for(docker: FakeDocker, orphan: "subprocess.Popen[bytes]") -> None:
    """What a dead agent had begun comes to its end before anything else is done, and is forgotten."""
    records = known(docker)
    ended = threading.Event()
    waiting = threading.Thread(target=lambda: (compose(docker, records).await_orphan("srv_A"), ended.set()))
    waiting.start()
    assert not ended.wait(0.3)
    orphan.kill()
    assert ended.wait(5)
    assert records.kept == {}


def test_an_orphan_that_hangs_is_ended(docker: FakeDocker, orphan: "subprocess.Popen[bytes]") -> None:
    """Its deadline is that of its own agent, so it counts from its start."""
    began = time.monotonic()
    with capture_logs() as lines:
        compose(docker, known(docker), up_deadline=0.5).await_orphan("srv_A")
    assert time.monotonic() - began < 5
    assert is_gone(orphan.pid)
    assert len([line for line in lines if "it is waited for" in line["event"]]) == 1


def test_an_orphan_that_nobody_recorded_is_found(docker: FakeDocker, orphan: "subprocess.Popen[bytes]") -> None:
    """The agent may die between starting it and writing it down; that of another server is left alone."""
    assert not compose(docker, up_deadline=0.0).await_orphan("srv_b")
    assert not is_gone(orphan.pid)
    assert compose(docker, up_deadline=0.0).await_orphan("srv_A")
    assert is_gone(orphan.pid)


def test_no_orphan_is_the_usual_case(docker: FakeDocker) -> None:
    """A record of a process that ended long ago, or of another boot, holds nobody up."""
    gone = ProcessIdentity("another boot", os.getpid(), 1, "/usr/bin/docker", ("docker",))
    records = FakeRecords({"srv_a": (gone, "then")})
    compose(docker, records).await_orphan("srv_a")
    assert records.kept == {}
