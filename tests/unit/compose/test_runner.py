"""Running `docker compose`, with an executable on PATH in its place."""

import os
from functools import partial
from pathlib import Path

import pytest

from compose.runner import Compose
from core.errors import ComposeFailed, DeadlinePassed, DockerUnavailable
from core.proc import ProcessIdentity, is_running
from tests.unit.compose.conftest import FakeDocker
from tests.waiting import wait_until

FILE = Path("/data/satisfactory/srv_JohnDoe/docker-compose.yml")


def environ(docker: FakeDocker, **more: str) -> dict[str, str]:
    """Return an environment in which the fake is `docker`."""
    return {"PATH": f"{docker.folder}:{os.environ['PATH']}", "HOME": "/root", **more}


def compose(docker: FakeDocker) -> Compose:
    """Return a runner that calls the fake."""
    return Compose(environ(docker))


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


def test_stop_needs_no_file(docker: FakeDocker) -> None:
    """A file that is gone or broken does not keep a server from being stopped."""
    compose(docker).stop("srv_JohnDoe", 60.0)
    assert docker.seen["argv"] == ["compose", "-p", "srv_johndoe", "stop", "--timeout", "60"]
    assert docker.seen["cwd"] == "/"


def test_version_is_composes_own(docker: FakeDocker) -> None:
    """What is told is the number alone."""
    docker.order(stdout="2.26.1-4\n")
    assert compose(docker).version() == "2.26.1-4"


def test_no_secret_reaches_the_child(docker: FakeDocker) -> None:
    """Compose would fill the agent's variables into the file; it sees PATH, HOME and DOCKER_* only."""
    given = environ(docker, DOCKER_HOST="unix:///x.sock", RATHOLE_TOKEN="hunter2", HOST_AGENT_API_KEY="key")
    Compose(given).up("srv_a", FILE)
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
        compose(docker).stop("srv_a", 1.0)


def test_warnings_alone_are_no_failure(docker: FakeDocker) -> None:
    """Only the exit code says that it failed."""
    docker.order(stderr='Warning: No resource found to remove for project "srv_a".\n')
    compose(docker).stop("srv_a", 1.0)


def test_a_missing_docker_is_named(tmp_path: Path) -> None:
    """A host without Docker's command line gets a sentence, not a traceback."""
    with pytest.raises(DockerUnavailable) as caught:
        Compose({"PATH": str(tmp_path)}).up("srv_a", FILE)
    assert caught.value.code == "docker_missing"


def test_the_deadline_kills_the_whole_group(docker: FakeDocker) -> None:
    """A hung `docker compose` that ignores SIGTERM, and its children, are gone when the error is raised."""
    docker.order(hang=True, fork=True, ignore_term=True)
    with pytest.raises(DeadlinePassed) as caught:
        Compose(environ(docker), up_deadline=1.0).up("srv_a", FILE)
    assert "1 s" in caught.value.message
    for pid in (docker.seen["pid"], docker.seen["child"]):
        wait_until(partial(is_gone, pid), within=5, saying=f"process {pid} has ended")


def test_the_child_is_announced_while_it_runs(docker: FakeDocker) -> None:
    """A successor of the agent can find a child that outlived it: its identity is known before it ends."""
    told: list[tuple[str, ProcessIdentity, bool]] = []
    runner = Compose(environ(docker), started=lambda server, who: told.append((server, who, is_running(who))))
    docker.order(stdout="done")
    runner.up("srv_JohnDoe", FILE)
    ((server, identity, ran),) = told
    assert (server, ran) == ("srv_JohnDoe", True)
    assert identity.pid == docker.seen["pid"]
    assert not is_running(identity)


def test_the_child_has_a_session_of_its_own(docker: FakeDocker) -> None:
    """A signal to the agent's group, as from a terminal, does not cut an `up` in two."""
    sessions: list[tuple[int, int]] = []
    Compose(environ(docker), started=lambda _, who: sessions.append((who.pid, os.getsid(who.pid)))).up("srv_a", FILE)
    ((pid, session),) = sessions
    assert session == pid
