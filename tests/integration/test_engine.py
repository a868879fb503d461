"""The engine's border on the real engine: containers, networks, volumes, execs and events."""

import threading
import time
import uuid
from collections.abc import Iterator

import docker
import pytest

from compose.container import Container, Event
from compose.engine import Engine
from compose.file import SERVER_LABEL
from compose.network import ensure_member, ensure_network
from core.errors import ComposeFailed, DeadlinePassed, NotFound
from tests.waiting import wait_until

IMAGE = "satis-base:trixie"
GRACE = 0.0


@pytest.fixture
def sdk() -> Iterator[docker.DockerClient]:
    """Return Docker's own client, to make and look at things behind the engine's back."""
    client = docker.DockerClient(base_url="unix:///var/run/docker.sock", version="1.41")
    yield client
    client.close()


@pytest.fixture
def engine() -> Engine:
    """Return the engine of this machine."""
    return Engine()


@pytest.fixture
def name(sdk: docker.DockerClient) -> Iterator[str]:
    """Return a name of this test's own; what carries it is removed afterwards."""
    mine = f"srv_t_{uuid.uuid4().hex[:8]}"
    yield mine
    for container in sdk.containers.list(all=True, filters={"name": mine}):
        container.remove(force=True, v=True)
    for network in sdk.networks.list(filters={"name": mine}):
        network.remove()


def run(sdk: docker.DockerClient, name: str, command: str = "sleep 600", **options: object) -> str:
    """Start a container behind the engine's back; return its id."""
    made = sdk.containers.run(IMAGE, ["sh", "-c", command], name=name, detach=True, **options)  # type: ignore[call-overload]
    return str(made.id)


def seen(engine: Engine, name: str) -> Container:
    """Return a container that must be there."""
    found = engine.container(name)
    assert found is not None
    return found


def test_it_answers(engine: Engine) -> None:
    """The real engine speaks the version that we chose."""
    engine.ping()


def test_a_running_container_is_described(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """Its state, its network and its ports are Docker's own."""
    variables = {"SERVERGAMEPORT": "30001", "SERVERMESSAGINGPORT": "30002"}
    key = run(sdk, name, environment=variables, labels={SERVER_LABEL: name})
    found = seen(engine, name)
    assert (found.id, found.name, found.status, found.image) == (key, name, "running", IMAGE)
    assert found.labels[SERVER_LABEL] == name
    assert list(found.network_ids) == ["bridge"]
    assert found.ports is not None
    assert (found.ports.game, found.ports.beacon) == (30001, 30002)


def test_an_end_is_described(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """Exit code and time of a container that ended by itself; not at once: 20.10 may date its end before its start."""
    run(sdk, name, "sleep 0.2; exit 7")
    found = wait_until(
        lambda: (now := seen(engine, name)).status == "exited" and now, within=20, saying="it has exited"
    )
    assert found
    assert found.exit_code == 7
    assert found.started_at < found.finished_at


def test_restarts_are_counted(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """Docker's own restarts show, even of a container that exits with 0."""
    run(sdk, name, "sleep 0.1", restart_policy={"Name": "unless-stopped"})
    wait_until(lambda: seen(engine, name).restart_count >= 2, within=30, saying="Docker restarted it twice")


def test_containers_are_found_by_label_and_by_name(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """An adopted container has no label of ours; others are not looked at."""
    run(sdk, f"{name}_labelled", labels={SERVER_LABEL: "x"})
    run(sdk, f"{name}_named")
    run(sdk, f"{name}_other")
    found = {container.name for container in engine.containers([f"{name}_named"])}
    assert {f"{name}_labelled", f"{name}_named"} <= found
    assert f"{name}_other" not in found


def test_namesakes_differ_in_case_at_most(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """Docker takes both names, and its DNS gives each of them the other's callers."""
    run(sdk, name)
    run(sdk, f"{name}_more")
    assert [found.name for found in engine.namesakes(name.upper())] == [name]
    assert engine.namesakes(f"{name}_other") == []


def test_stop_is_done_once_and_for_all(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """A second stop is fine; Docker does not restart what was stopped."""
    run(sdk, name, restart_policy={"Name": "unless-stopped"})
    engine.stop(name, GRACE)
    engine.stop(name, GRACE)
    assert seen(engine, name).status == "exited"


def test_kill_is_not_undone_by_the_restart_policy(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """A killed game stays down until someone starts it, and a second kill is fine."""
    run(sdk, name, restart_policy={"Name": "unless-stopped"})
    engine.kill(name)
    wait_until(lambda: seen(engine, name).status == "exited", within=20, saying="it has exited")
    engine.kill(name)
    assert seen(engine, name).restart_count == 0


def test_remove_takes_the_anonymous_volumes(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """Those of a running container, with it; doing it again is fine."""
    run(sdk, name, volumes=["/anonymous"])
    (volume,) = seen(engine, name).anonymous_volumes
    engine.remove(name)
    engine.remove(name)
    assert engine.container(name) is None
    assert volume not in {found.name for found in sdk.volumes.list()}


def test_remove_takes_volumes_that_were_handed_on(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """Compose mounts the anonymous volume of a container's predecessor by its name; Docker would keep it."""
    run(sdk, f"{name}_old", volumes=["/anonymous"])
    (volume,) = seen(engine, f"{name}_old").anonymous_volumes
    sdk.containers.get(f"{name}_old").remove(force=True)
    run(sdk, name, volumes={volume: {"bind": "/anonymous"}})
    engine.remove(name)
    assert volume not in {found.name for found in sdk.volumes.list()}


def test_a_named_volume_outlives_its_container(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """What a person named is a person's to remove."""
    sdk.volumes.create(name)
    try:
        run(sdk, name, volumes={name: {"bind": "/named"}})
        engine.remove(name)
        assert name in {found.name for found in sdk.volumes.list()}
    finally:
        sdk.volumes.get(name).remove()


def test_logs_are_the_last_lines(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """What a crashed game said last is kept."""
    run(sdk, name, "echo one; echo two; echo three; sleep 600")
    wait_until(lambda: "three" in engine.logs(name, 50), within=20, saying="it has written")
    assert engine.logs(name, 2).split() == ["two", "three"]


def test_logs_are_of_both_streams(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """In any order: Docker reads each stream by itself, so what was written later may be kept first."""
    run(sdk, name, "echo one; echo two >&2; sleep 600")
    wait_until(lambda: set(engine.logs(name, 50).split()) == {"one", "two"}, within=20, saying="both are there")


def test_exec_returns_code_and_both_streams(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """A secret goes in by the environment, which no process list shows."""
    run(sdk, name)
    done = engine.exec(
        name, ["sh", "-c", 'echo "$WORD"; echo no >&2; exit 3'], timeout=20, environment={"WORD": "é $x"}
    )
    assert (done.returncode, done.stdout, done.stderr) == (3, "é $x\n", "no\n")


def test_exec_loses_nothing(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """Neither the output of a short command nor a megabyte of it."""
    run(sdk, name)
    for _ in range(10):
        assert engine.exec(name, ["echo", "short"], timeout=20).stdout == "short\n"
    assert len(engine.exec(name, ["head", "-c", "1048576", "/dev/zero"], timeout=20).stdout) == 1 << 20


@pytest.mark.parametrize("command", ["sleep 30", "while :; do echo x; sleep 0.1; done"])
def test_exec_has_a_deadline(engine: Engine, sdk: docker.DockerClient, name: str, command: str) -> None:
    """Be the command silent or talking without end."""
    run(sdk, name)
    before = time.monotonic()
    with pytest.raises(DeadlinePassed) as caught:
        engine.exec(name, ["sh", "-c", command], timeout=0.5)
    assert caught.value.code == "exec_timeout"
    assert time.monotonic() - before < 10


def test_exec_in_a_stopped_container_is_refused(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """With a code of its own, since nothing is wrong with Docker."""
    run(sdk, name)
    engine.stop(name, GRACE)
    with pytest.raises(ComposeFailed) as caught:
        engine.exec(name, ["true"], timeout=20)
    assert caught.value.code == "container_not_running"


def test_exec_in_no_container_is_not_found(engine: Engine, name: str) -> None:
    """And in none at all with another."""
    with pytest.raises(NotFound):
        engine.exec(name, ["true"], timeout=20)


def test_images_are_looked_up(engine: Engine) -> None:
    """One that is here and one that is nowhere."""
    assert engine.image_present(IMAGE)
    assert not engine.image_present("srv-t-nosuch:v1")


def test_a_pull_that_fails_is_told(engine: Engine) -> None:
    """The registry's word is in the sentence; here, that nobody listens."""
    with pytest.raises(ComposeFailed) as caught:
        engine.pull("localhost:1/srv-t-nosuch:v1", stalled_after=30)
    assert caught.value.code == "image_not_pulled"
    assert "localhost:1/srv-t-nosuch:v1" in caught.value.message


def test_events_tell_what_happened_since(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """The past from the given moment on, in order, without our own execs; a later call goes on behind it."""
    begin = time.time_ns()
    run(sdk, name)
    engine.exec(name, ["true"], timeout=20)
    engine.stop(name, GRACE)
    mine = [event for event in engine.events(begin, seconds=1) if event.name == name]
    actions = [event.action for event in mine]
    assert actions[:2] == ["create", "start"]
    assert {"die", "stop"} <= set(actions)
    assert not any(action.startswith("exec") for action in actions)
    last = mine[-1].time_ns
    assert last not in {event.time_ns for event in engine.events(last + 1, seconds=1)}


def test_events_arrive_while_they_happen(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """The reconciler is woken at once, not when the listening ends."""
    found: list[tuple[Event, float]] = []

    def listen() -> None:
        found.extend((event, time.time()) for event in engine.events(time.time_ns(), seconds=8))

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    run(sdk, name)
    listener.join(timeout=60)
    delays = [when - event.time_ns / 1e9 for event, when in found if event.name == name]
    assert delays
    assert max(delays) < 5


def test_the_network_is_made_once(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """With its label and addresses; the next call finds it."""
    made = ensure_network(engine, name)
    assert made.labels == {"com.docker.compose.network": name}
    assert made.subnets
    assert made.gateways
    assert ensure_network(engine, name).id == made.id
    assert len(sdk.networks.list(names=[name])) == 1


def test_empty_twins_are_removed(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """Docker takes one name twice; the network in use survives."""
    sdk.networks.create(name)
    used = sdk.networks.create(name)
    used.connect(run(sdk, name))
    assert ensure_network(engine, name).id == used.id
    assert [found.id for found in engine.networks(name)] == [used.id]


def test_two_used_twins_are_reported(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """Who is on which is in the sentence, and both stay."""
    for number in (1, 2):
        sdk.networks.create(name).connect(run(sdk, f"{name}_{number}"))
    with pytest.raises(ComposeFailed) as caught:
        ensure_network(engine, name)
    assert f"{name}_1" in caught.value.message
    assert f"{name}_2" in caught.value.message
    for number in (1, 2):
        engine.remove(f"{name}_{number}")


def test_a_container_joins_and_is_found_by_its_alias(engine: Engine, sdk: docker.DockerClient, name: str) -> None:
    """Docker's name server answers for the alias; joining again is fine."""
    key = run(sdk, name)
    ensure_member(engine, ensure_network(engine, name), key, "host-agent-t")
    ensure_member(engine, ensure_network(engine, name), key, "host-agent-t")
    assert name in seen(engine, name).network_ids
    found = engine.exec(name, ["getent", "hosts", "host-agent-t"], timeout=20)
    assert found.returncode == 0
    engine.remove(name)
