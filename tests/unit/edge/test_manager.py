"""The instance manager: what it grants, and how it looks after its rathole servers."""

import os
import signal
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import Conflict, InvalidRequest, ManagerFailed, NotFound, StoreFailed
from core.proc import ProcessIdentity, all_processes, is_running
from edge.manager import InstanceManager
from tests.unit.edge.conftest import Rig
from tests.waiting import wait_until


def _processes(rig: Rig) -> list[ProcessIdentity]:
    below = str(rig.settings.edge_data_dir)
    return [p for p in all_processes() if any(word.startswith(below) for word in p.argv)]


def _process(rig: Rig) -> ProcessIdentity:
    """Return the one there is; what has just been started shows its words only a moment later."""
    (process,) = wait_until(lambda: _processes(rig), within=5, saying="there is a process")
    return process


def _kill(rig: Rig, manager: InstanceManager, server_id: str) -> None:
    process = _process(rig)
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not manager.find(server_id)[1], within=5, saying="the death is seen")


def test_a_created_instance_runs(rig: Rig) -> None:
    """A grant means: recorded, started, listening."""
    manager = rig.manager()
    instance = manager.create("srv_1", 30000, 30001)
    assert manager.find("srv_1") == (instance, True)
    assert (instance.game_port, instance.query_port, instance.control_port) == (30000, 30001, 20000)
    assert manager.active_instances == 1
    process = _process(rig)
    assert process.argv[-2] == "--server"


def test_nothing_secret_is_in_the_process_list(rig: Rig) -> None:
    """The token is in the configuration file only, which is private."""
    instance = rig.manager().create("srv_1", 30000, 30001)
    process = _process(rig)
    assert instance.token not in " ".join(process.argv)
    assert instance.token.encode() not in Path(f"/proc/{process.pid}/environ").read_bytes()
    folder = rig.settings.edge_data_dir / "instances" / "srv_1"
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "instance.json": 0o600,
        "server.toml": 0o600,
        "server.log": 0o600,
    }


def test_an_existing_id_is_refused_in_the_known_words(rig: Rig) -> None:
    """The agent takes exactly this message for "it is there"."""
    manager = rig.manager()
    first = manager.create("srv_1", 30000, 30001)
    with pytest.raises(ManagerFailed) as caught:
        manager.create("srv_1", 30002, 30003)
    assert caught.value.message == "Instance srv_1 already exists"
    assert manager.find("srv_1") == (first, True)


def test_each_instance_has_ports_of_its_own(rig: Rig) -> None:
    """A second instance gets another control port and cannot have a first one's public ports."""
    manager = rig.manager()
    manager.create("srv_1", 30000, 30001)
    with pytest.raises(Conflict, match="srv_1"):
        manager.create("srv_2", 30001, 30002)
    assert manager.create("srv_2", 30002, 30003).control_port == 20001


def test_of_many_at_once_one_gets_the_ports(rig: Rig) -> None:
    """Eight callers want the same two ports at the same time; seven are refused."""
    manager = rig.manager()

    def ask(number: int) -> bool:
        try:
            manager.create(f"srv_{number}", 30000, 30001)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 1
    assert _process(rig)


def test_a_refused_create_leaves_nothing(rig: Rig) -> None:
    """Neither a folder nor a process nor an entry stays."""
    manager = rig.manager()
    rig.held_ports.add(30001)
    with pytest.raises(Conflict):
        manager.create("srv_1", 30000, 30001)
    with pytest.raises(InvalidRequest):
        manager.create("srv_1", 30000, 40000)
    assert manager.active_instances == 0
    assert not (rig.settings.edge_data_dir / "instances" / "srv_1").exists()
    assert _processes(rig) == []


def test_a_rathole_that_does_not_start_is_a_failure(rig: Rig) -> None:
    """The caller gets rathole's own last words, and nothing stays behind; later it works."""
    manager = rig.manager()
    mend = rig.break_rathole()
    with pytest.raises(ManagerFailed, match="did not start: Error: it is broken"):
        manager.create("srv_1", 30000, 30001)
    assert manager.active_instances == 0
    assert not (rig.settings.edge_data_dir / "instances" / "srv_1").exists()
    mend()
    manager.create("srv_1", 30000, 30001)


def test_a_rathole_that_is_missing_is_a_failure(rig: Rig) -> None:
    """A binary that was removed while the edge ran is named."""
    rig.settings.rathole_binary.unlink()
    with pytest.raises(ManagerFailed, match=r"Cannot start .*rathole: No such file"):
        rig.manager().create("srv_1", 30000, 30001)


def test_a_removed_instance_is_gone_and_its_ports_free(rig: Rig) -> None:
    """Process, folder and entry go; the same ports can be asked for by another."""
    manager = rig.manager()
    manager.create("srv_1", 30000, 30001)
    manager.remove("srv_1")
    assert _processes(rig) == []
    assert not (rig.settings.edge_data_dir / "instances" / "srv_1").exists()
    assert manager.create("srv_2", 30000, 30001).control_port == 20000


def test_unknown_ids(rig: Rig) -> None:
    """Whatever is asked of an instance that is not there is answered by "there is none"."""
    manager = rig.manager()
    with pytest.raises(NotFound, match="no instance srv_9"):
        manager.find("srv_9")
    with pytest.raises(NotFound):
        manager.remove("srv_9")
    with pytest.raises(NotFound):
        manager.client_config("srv_9", "srv_9")


def test_the_client_config_names_the_edge_and_the_game(rig: Rig) -> None:
    """The client connects to EDGE_REMOTE_HOST and hands on to the host that was asked for."""
    manager = rig.manager()
    manager.create("srv_1", 30000, 30001)
    client = tomllib.loads(manager.client_config("srv_1", "game.local"))["client"]
    assert client["remote_addr"] == "vps.example.org:20000"
    assert client["services"]["srv_1_query"]["local_addr"] == "game.local:30001"


def test_a_dead_server_is_started_again_after_its_delay(rig: Rig) -> None:
    """Its death shows at once; it comes back when the backoff allows, not before."""
    manager = rig.manager()
    manager.create("srv_1", 30000, 30001)
    _kill(rig, manager, "srv_1")
    manager.tend()
    manager.tend()
    assert manager.find("srv_1")[1] is False
    rig.clock.now += 1
    manager.tend()
    assert manager.find("srv_1")[1] is True


def test_the_delay_grows_and_begins_anew_after_a_good_time(rig: Rig) -> None:
    """A server that dies again and again is started less and less often, until it has held for 30 s."""
    manager = rig.manager()
    manager.create("srv_1", 30000, 30001)

    def seconds_until_back() -> int:
        _kill(rig, manager, "srv_1")
        waited = 0
        while not manager.find("srv_1")[1]:
            manager.tend()
            rig.clock.now += 1
            waited += 1
        return waited

    delays = [seconds_until_back() for _ in range(4)]
    assert delays == sorted(delays)
    assert delays[-1] > delays[0]
    rig.clock.now += 31
    manager.tend()
    assert seconds_until_back() == delays[0]


def test_one_that_cannot_start_keeps_nobody_waiting(rig: Rig) -> None:
    """A server whose folder is gone is tried again; another one that died meanwhile comes back."""
    manager = rig.manager()
    manager.create("srv_1", 30000, 30001)
    manager.create("srv_2", 30002, 30003)
    folder = rig.settings.edge_data_dir / "instances" / "srv_1"
    folder.rename(folder.with_name("away"))
    for process in _processes(rig):
        os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not manager.find("srv_2")[1], within=5, saying="the death is seen")
    for _ in range(2):
        manager.tend()
        rig.clock.now += 1
    assert (manager.find("srv_1")[1], manager.find("srv_2")[1]) == (False, True)
    folder.with_name("away").rename(folder)
    rig.clock.now += 60
    manager.tend()
    rig.clock.now += 60
    manager.tend()
    assert manager.find("srv_1")[1] is True


def test_a_long_log_is_rotated(rig: Rig) -> None:
    """Beyond a MiB the log is put aside, once, and rathole goes on writing to the emptied file."""
    manager = rig.manager()
    manager.create("srv_1", 30000, 30001)
    log = rig.settings.edge_data_dir / "instances" / "srv_1" / "server.log"
    with log.open("a") as file:
        file.write("x" * (1024 * 1024 + 1))
    manager.tend()
    assert log.stat().st_size == 0
    assert log.with_name("server.log.1").stat().st_size > 1024 * 1024
    assert log.with_name("server.log.1").stat().st_mode & 0o777 == 0o600


def test_a_long_log_that_cannot_be_kept_is_emptied_all_the_same(rig: Rig) -> None:
    """On a full disk room is worth more than old lines, and the server is tended as ever."""
    manager = rig.manager()
    manager.create("srv_1", 30000, 30001)
    log = rig.settings.edge_data_dir / "instances" / "srv_1" / "server.log"
    log.with_name("server.log.1").mkdir()
    with log.open("a") as file:
        file.write("x" * (1024 * 1024 + 1))
    manager.tend()
    assert log.stat().st_size == 0


def test_a_restart_brings_everything_back(rig: Rig) -> None:
    """Ports, control port and token are as before; the servers run again."""
    first = rig.manager()
    granted = [first.create("srv_1", 30000, 30001), first.create("srv_2", 30002, 30003)]
    first.end()
    assert _processes(rig) == []
    second = rig.manager()
    second.begin()
    assert [second.find(i.server_id) for i in granted] == [(i, True) for i in granted]


def test_servers_of_a_killed_edge_are_replaced(rig: Rig) -> None:
    """What an edge left running is ended before the new edge starts its own: never two on one port."""
    instance = rig.manager().create("srv_1", 30000, 30001)
    stray = _process(rig)
    second = rig.manager()
    second.begin()
    assert second.find("srv_1") == (instance, True)
    assert not is_running(stray)
    assert _process(rig)


def test_a_stray_of_no_instance_is_ended_too(rig: Rig) -> None:
    """A server whose record is gone must not hold its ports."""
    manager = rig.manager()
    manager.create("srv_1", 30000, 30001)
    (rig.settings.edge_data_dir / "instances" / "srv_1" / "instance.json").unlink()
    second = rig.manager()
    second.begin()
    assert second.active_instances == 0
    wait_until(lambda: _processes(rig) == [], within=5, saying="the stray is gone")


def test_the_supervisor_thread_does_it_unasked(rig: Rig) -> None:
    """After `begin` a dead server comes back without a call."""
    manager = rig.manager()
    manager.begin()
    manager.create("srv_1", 30000, 30001)
    _kill(rig, manager, "srv_1")
    rig.clock.now += 1

    def back() -> bool:
        rig.clock.now += 1
        return manager.find("srv_1")[1]

    wait_until(back, within=10, saying="the server is back")


def test_a_restart_on_a_broken_disk_says_so(rig: Rig) -> None:
    """An edge that cannot read its instances does not pretend to have none."""
    rig.settings.edge_data_dir.write_text("not a folder")
    with pytest.raises(StoreFailed):
        rig.manager().begin()
