"""The instance manager's client against a manager on the loopback."""

import socket
import threading

import pytest

from core.errors import ManagerFailed
from rathole import manager as module
from rathole.answer import Instance
from rathole.manager import InstanceManager
from tests.fakes.manager import FakeManager
from tests.unit.rathole.conftest import ACCESS, ID, PORTS, TOKEN, USER, client_of, settings_for


@pytest.fixture
def client(fake: FakeManager) -> InstanceManager:
    """Return a client with the token of the first generation."""
    return client_of(fake, RATHOLE_TOKEN=TOKEN)


def test_create_asks_with_both_names_of_the_beacon_port(fake: FakeManager, client: InstanceManager) -> None:
    """Two generations of managers name it differently; the answer names the public ports."""
    instance = client.create(ID, PORTS)

    assert fake.seen[0].body == {
        "server_id": ID,
        "game_port": 30012,
        "query_port": 30013,
        "beacon_port": 30013,
        "token": TOKEN,
    }
    assert instance == Instance(20000, 40000, 40001, "203.0.113.9", True)


def test_an_instance_that_is_there_already_is_as_good(client: InstanceManager) -> None:
    """After a crash of ours the manager says 500 and "already exists": the instance is fetched."""
    first = client.create(ID, PORTS)

    assert client.create(ID, PORTS) == first


def test_already_exists_and_not_found_is_a_failure(fake: FakeManager, client: InstanceManager) -> None:
    """A manager that contradicts itself is not believed."""
    fake.say(500, {"status": "error", "message": f"Instance {ID} already exists"})

    with pytest.raises(ManagerFailed, match="does not find it"):
        client.create(ID, PORTS)


def test_get_config_and_delete_of_what_is_there_and_what_is_not(fake: FakeManager, client: InstanceManager) -> None:
    """404 is an answer, and for delete it is the one that was wanted."""
    assert client.get(ID) is None
    assert client.client_config(ID) is None
    client.delete(ID)
    created = client.create(ID, PORTS)

    assert client.get(ID) == created
    assert f'local_addr = "{ID}:{PORTS.game}"' in (client.client_config(ID) or "")
    assert fake.seen[-1].query["host_ip"] == ID
    client.delete(ID)
    assert client.get(ID) is None


def test_a_404_may_be_a_page(fake: FakeManager, client: InstanceManager) -> None:
    """A manager without that route answers so."""
    fake.say(404, b"<html>Not Found</html>")

    assert client.client_config(ID) is None


def test_a_netrc_does_not_replace_our_token(
    fake: FakeManager, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The library would read one, and a proxy from the environment."""
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    client_of(fake, ACCESS_TOKEN=ACCESS).get(ID)

    assert fake.seen[0].headers["Authorization"] == f"Bearer {ACCESS}"


def test_a_prefix_stands_before_every_path(fake: FakeManager) -> None:
    """Behind a reverse proxy."""
    client = client_of(fake, RATHOLE_INSTANCE_MANAGER_PREFIX="/manager")
    client.get(ID)

    assert fake.seen[0].path == f"/manager/api/instances/{ID}"


def test_a_redirect_is_not_followed(fake: FakeManager, client: InstanceManager) -> None:
    """It would take the token elsewhere."""
    fake.say(302, b"", headers={"Location": "/elsewhere"})

    with pytest.raises(ManagerFailed) as failed:
        client.get(ID)

    assert failed.value.code == "manager_failed"
    assert len(fake.seen) == 1


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, {"error": "no"}, "auth_refused"),
        (403, {"error": "belongs to another user"}, "manager_refused"),
        (400, {"error": "bad port"}, "manager_refused"),
        (409, {"message": "port 30012 is taken"}, "manager_refused"),
        (500, {"error": "a bug"}, "manager_failed"),
        (500, b"<html>", "manager_failed"),
        (200, {"status": "error", "message": "no free port"}, "manager_failed"),
        (200, b"<html>", "manager_failed"),
        (200, b'{"status": "success", "rathole_port": 2', "manager_failed"),
        (200, {"status": "success", "server_id": "srv_other_00000001"}, "manager_failed"),
        (200, b" " * (300 * 1024), "manager_failed"),
        (200, {"status": "success", "rathole_port": "20001"}, "manager_failed"),
    ],
)
def test_each_failure_has_its_code(
    fake: FakeManager, client: InstanceManager, status: int, body: object, code: str
) -> None:
    """And a sentence; a create is not repeated."""
    fake.say(status, body)

    with pytest.raises(ManagerFailed) as failed:
        client.create(ID, PORTS)

    assert failed.value.code == code
    assert failed.value.message.endswith(".")
    assert len(fake.seen) == 1


def test_the_manager_s_words_are_passed_on_without_tokens(fake: FakeManager) -> None:
    """A manager that repeats what it was sent makes no secret public."""
    fake.say(403, {"error": f"{USER} and {ACCESS} and {TOKEN} may not"})

    with pytest.raises(ManagerFailed) as failed:
        client_of(fake, ACCESS_TOKEN=ACCESS, RATHOLE_TOKEN=TOKEN).get(ID, USER)

    assert "*** and *** and *** may not" in failed.value.message
    assert failed.value.details == {"status": 403}


@pytest.mark.parametrize("method", ["get", "client_config", "delete"])
def test_what_is_safe_to_repeat_is_repeated(fake: FakeManager, client: InstanceManager, method: str) -> None:
    """A proxy whose manager restarts says 502 or 503 for a moment."""
    fake.say(503, b"")
    fake.say(502, b"")

    getattr(client, method)(ID)

    assert len(fake.seen) == 3


def test_a_manager_that_is_away_is_unreachable(fake: FakeManager) -> None:
    """The legacy token in the URL, which the library's error holds, is in no message and no cause."""
    fake.close()
    client = client_of(fake, RATHOLE_TOKEN=TOKEN)

    with pytest.raises(ManagerFailed) as failed:
        client.get(ID)

    assert failed.value.code == "manager_unreachable"
    assert TOKEN not in failed.value.message
    assert failed.value.__cause__ is None


def test_a_manager_that_hangs_up_is_unreachable(fake: FakeManager) -> None:
    """It takes the connection and closes it without a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_hang_up, args=(server,), daemon=True).start()
        client = InstanceManager(settings_for(server.getsockname()[1]))
        with pytest.raises(ManagerFailed) as failed:
            client.create(ID, PORTS)

    assert failed.value.code == "manager_unreachable"
    assert fake.seen == []


def _hang_up(server: socket.socket) -> None:
    connection, _ = server.accept()
    connection.close()


@pytest.mark.parametrize("method", ["get", "delete"])
def test_a_manager_that_does_not_answer_times_out(
    fake: FakeManager, client: InstanceManager, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """After the deadline, here a short one, with a code of its own."""
    monkeypatch.setattr(module, "_READ_TIMEOUT", 0.1)
    gate = threading.Event()
    for _ in range(2):
        fake.say(200, {}, gate=gate)

    with pytest.raises(ManagerFailed) as failed:
        getattr(client, method)(ID)
    gate.set()

    assert failed.value.code == "manager_timeout"


def test_a_dripping_answer_ends_at_the_deadline(fake: FakeManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then keeps every single read within its timeout; the whole is bounded too."""
    times = iter(range(0, 1000, 4))
    client = InstanceManager(settings_for(fake.port), clock=lambda: next(times))
    monkeypatch.setattr("core.replies._CHUNK", 1)
    fake.say(200, {"status": "success"})

    with pytest.raises(ManagerFailed) as failed:
        client.create(ID, PORTS)

    assert failed.value.code == "manager_timeout"


def test_without_a_manager_there_is_no_client() -> None:
    """Whoever builds one for an agent without a manager made a mistake."""
    with pytest.raises(ValueError, match="no instance manager"):
        InstanceManager(settings_for(1, RATHOLE_INSTANCE_MANAGER_HOST=""))
