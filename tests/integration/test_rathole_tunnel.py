"""The supervisor with real rathole on both ends, and traffic through it.

The configurations here lead to the loopback: outside of Docker no server's name resolves.
"""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from core import proc
from core.models import TunnelReason, TunnelState
from core.proc import ProcessIdentity
from rathole.config import ClientConfig, Service, render_client_config
from rathole.process import find_clients
from rathole.supervisor import Supervisor
from tests.waiting import wait_until

ID = "srv_test_0000000a"
TOKEN = "right"
ENV = {"PATH": os.environ["PATH"], "RUST_LOG": "info"}


class Records:
    """Process records in a file, as a successor would find them."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def record(self, server_id: str, identity: ProcessIdentity, started_at: str) -> None:
        """Keep one."""
        fields = [identity.boot_id, identity.pid, identity.start_ticks, identity.executable, identity.argv]
        self._write({**self._read(), server_id: [fields, started_at]})

    def forget(self, server_id: str) -> None:
        """Drop one."""
        self._write({key: value for key, value in self._read().items() if key != server_id})

    def all(self) -> dict[str, tuple[ProcessIdentity, str]]:
        """Return all."""
        return {
            key: (ProcessIdentity(*fields[:4], argv=tuple(fields[4])), started_at)
            for key, (fields, started_at) in self._read().items()
        }

    def _read(self) -> dict[str, list[object]]:
        return json.loads(self._path.read_text()) if self._path.exists() else {}

    def _write(self, values: dict[str, list[object]]) -> None:
        self._path.write_text(json.dumps(values))


def free_port() -> int:
    """Return a port that is free for UDP and TCP."""
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(tcp.getsockname())
        return int(tcp.getsockname()[1])


class Game:
    """Echoes UDP datagrams, as a game would answer."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port = int(self.socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            data, peer = self.socket.recvfrom(2048)
            if data == b"close":
                return
            self.socket.sendto(data, peer)

    def close(self) -> None:
        """Stop echoing."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"close", ("127.0.0.1", self.port))
        self._thread.join(5)
        self.socket.close()


class Vps:
    """A rathole server that knows the services of one game server, and can die and come back."""

    def __init__(self, binary: str, folder: Path, names: tuple[str, ...] = ("game",)) -> None:
        self.port, self.public = free_port(), free_port()
        self._binary, self._folder = binary, folder
        services = "".join(
            f'[server.services.{name}]\ntype = "udp"\ntoken = "{TOKEN}"\nbind_addr = "127.0.0.1:{self.public + n}"\n'
            for n, name in enumerate(names)
        )
        folder.joinpath("server.toml").write_text(f'[server]\nbind_addr = "127.0.0.1:{self.port}"\n{services}')
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, again if it was."""
        argv = [self._binary, "--server", str(self._folder / "server.toml")]
        self.process = proc.spawn(argv, env=ENV, output=self._folder / "server.log")
        return self.process

    def kill(self) -> None:
        """Kill it as a power cut would."""
        self.process.kill()
        self.process.wait()


class Host:
    """A supervisor with its loop, on a directory of its own."""

    def __init__(self, directory: Path, binary: str) -> None:
        self.directory, self.changed = directory, []
        directory.mkdir(exist_ok=True)
        records = Records(directory.parent / "records.json")
        self.supervisor = Supervisor(directory, binary, records, on_change=self.changed.append)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    changed: list[str]

    def configure(self, vps: Vps, game: Game, server_id: str = ID, token: str = TOKEN, name: str = "game") -> None:
        """Write the client.toml of a server."""
        folder = self.directory / server_id
        folder.mkdir(exist_ok=True)
        services = {name: Service(type="udp", local_addr=f"127.0.0.1:{game.port}", token=token)}
        config = ClientConfig(remote_addr=f"127.0.0.1:{vps.port}", services=services)
        folder.joinpath("client.toml").write_text(render_client_config(config))

    def start(self) -> None:
        """Adopt what is there and begin to look after it."""
        self.supervisor.adopt()
        self._thread.start()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self.supervisor.wait(0.2)
            self.supervisor.tick()

    def until(self, state: TunnelState, server_id: str = ID, within: float = 15) -> None:
        """Wait until a tunnel has a state."""
        wait_until(
            lambda: self.supervisor.status(server_id).state is state,
            within=within,
            saying=f"{server_id} is {state}, not {self.supervisor.status(server_id)}",
        )

    def close(self) -> None:
        """End the loop and every client."""
        self._stopping.set()
        if self._thread.ident:
            self._thread.join(10)
        for server_id in self.supervisor._all():
            self.supervisor.stop(server_id)


def answers(vps: Vps, offset: int = 0, within: float = 10) -> None:
    """Wait until a new visitor's datagram comes back through the tunnel."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as visitor:
        visitor.settimeout(0.3)

        def ask() -> bool:
            visitor.sendto(b"hello", ("127.0.0.1", vps.public + offset))
            return visitor.recv(100) == b"hello"

        wait_until(ask, within=within, saying="a datagram comes back through the tunnel")


@pytest.fixture
def game() -> Iterator[Game]:
    """Run a game."""
    game = Game()
    yield game
    game.close()


@pytest.fixture
def make_vps(tmp_path: Path, rathole_binary: str) -> Iterator[Callable[..., Vps]]:
    """Run rathole servers, each with a folder of its own."""
    made: list[Vps] = []

    def make(**options: object) -> Vps:
        folder = tmp_path / f"vps{len(made)}"
        folder.mkdir()
        made.append(Vps(rathole_binary, folder, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for vps in made:
        vps.kill()


@pytest.fixture
def host(tmp_path: Path, rathole_binary: str) -> Iterator[Host]:
    """Run a supervisor."""
    host = Host(tmp_path / "rathole", rathole_binary)
    yield host
    host.close()


def test_a_tunnel_comes_up_and_carries_packets(host: Host, make_vps: Callable[..., Vps], game: Game) -> None:
    """Run, and a datagram goes to the game and back; stop, and no process is left."""
    vps = make_vps()
    host.configure(vps, game)
    host.start()

    host.supervisor.run(ID)
    host.until(TunnelState.UP)

    answers(vps)
    status = host.supervisor.status(ID)
    assert status.services["game"].state is TunnelState.UP
    assert status.down_since is None
    assert ID in host.changed
    host.supervisor.stop(ID)
    assert host.supervisor.status(ID).state is TunnelState.STOPPED
    assert status.pid is not None
    assert proc.identify(status.pid) is None


def test_the_client_gets_nothing_of_our_environment(
    host: Host, make_vps: Callable[..., Vps], game: Game, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent's environment holds its keys; rathole needs none of it. Nor is a token in its argv."""
    monkeypatch.setenv("RATHOLE_TOKEN", "hidden")
    host.configure(make_vps(), game)

    host.supervisor.run(ID)

    pid = host.supervisor.status(ID).pid
    environment = Path(f"/proc/{pid}/environ").read_bytes().rstrip(b"\0").split(b"\0")
    assert {entry.partition(b"=")[0] for entry in environment} <= {b"PATH", b"HOME", b"RUST_LOG"}
    assert os.getsid(pid or 0) == pid


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"token": "wrong"}, TunnelReason.TOKEN_REFUSED), ({"name": "other"}, TunnelReason.SERVICE_UNKNOWN)],
)
def test_a_refusal_fails_at_once_and_a_new_configuration_heals_it(
    host: Host, make_vps: Callable[..., Vps], game: Game, wrong: dict[str, str], reason: TunnelReason
) -> None:
    """The client is stopped, the reason named; the right configuration is tried without waiting."""
    vps = make_vps()
    host.configure(vps, game, **wrong)
    host.start()

    host.supervisor.run(ID)
    host.until(TunnelState.FAILED)

    status = host.supervisor.status(ID)
    assert (status.reason, status.pid) == (reason, None)
    assert wrong.get("name", "game") in status.message
    host.configure(vps, game)
    host.supervisor.run(ID)
    host.until(TunnelState.UP)
    answers(vps)


def test_a_file_that_rathole_refuses_is_named(host: Host) -> None:
    """Exit code 1 before any line of a service: the configuration is wrong, and retried slowly."""
    host.directory.joinpath(ID).mkdir()
    host.directory.joinpath(ID, "client.toml").write_text("[client]\nnonsense = 1\n")
    host.start()

    host.supervisor.run(ID)
    host.until(TunnelState.FAILED)

    assert host.supervisor.status(ID).reason is TunnelReason.CONFIG_REFUSED
    assert "unknown field `nonsense`" in host.directory.joinpath(ID, "client.log").read_text()


def test_the_vps_dies_and_comes_back(host: Host, make_vps: Callable[..., Vps], game: Game) -> None:
    """The client is not restarted for it: rathole connects again by itself, and the state follows."""
    vps = make_vps()
    host.configure(vps, game)
    host.start()
    host.supervisor.run(ID)
    host.until(TunnelState.UP)
    pid = host.supervisor.status(ID).pid

    vps.kill()
    host.until(TunnelState.CONNECTING)
    wait_until(
        lambda: host.supervisor.status(ID).reason is TunnelReason.VPS_UNREACHABLE, within=5, saying="why is told"
    )
    assert host.supervisor.status(ID).down_since is not None
    vps.start()
    host.until(TunnelState.UP)

    answers(vps)
    assert host.supervisor.status(ID).pid == pid
    assert host.supervisor.status(ID).services["game"].reconnects >= 1


def test_a_killed_client_is_started_again(host: Host, make_vps: Callable[..., Vps], game: Game) -> None:
    """An end that nobody asked for costs a delay of half a second."""
    vps = make_vps()
    host.configure(vps, game)
    host.start()
    host.supervisor.run(ID)
    host.until(TunnelState.UP)
    pid = host.supervisor.status(ID).pid or 0

    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: host.supervisor.status(ID).pid not in (pid, None), within=5, saying="a new client runs")
    host.until(TunnelState.UP)

    answers(vps)


def test_a_frozen_client_is_ended_by_force(host: Host, make_vps: Callable[..., Vps], game: Game) -> None:
    """A stopped process does not see SIGTERM; stop kills it and returns when it is gone."""
    host.configure(make_vps(), game)
    host.supervisor.run(ID)
    pid = host.supervisor.status(ID).pid or 0
    os.kill(pid, signal.SIGSTOP)

    host.supervisor.stop(ID)

    assert proc.identify(pid) is None


def test_run_twice_is_one_client_and_a_changed_file_another(
    host: Host, make_vps: Callable[..., Vps], game: Game
) -> None:
    """Idempotent while the configuration is the same; a new one is a new process."""
    vps = make_vps(names=("game", "second"))
    host.configure(vps, game)
    host.start()
    host.supervisor.run(ID)
    host.until(TunnelState.UP)
    pid = host.supervisor.status(ID).pid

    host.supervisor.run(ID)
    assert host.supervisor.status(ID).pid == pid
    host.configure(vps, game, name="second")
    host.supervisor.run(ID)
    host.until(TunnelState.UP)

    assert host.supervisor.status(ID).pid != pid
    answers(vps, offset=1)
    assert [server_id for server_id, _ in find_clients(host.supervisor._tools.binary, host.directory)] == [ID]


def test_two_servers_do_not_disturb_each_other(host: Host, make_vps: Callable[..., Vps], game: Game) -> None:
    """One is stopped; the other keeps its process and its traffic."""
    first, second = make_vps(), make_vps()
    other = "srv_test_0000000b"
    host.configure(first, game)
    host.configure(second, game, other)
    host.start()
    host.supervisor.run(ID)
    host.supervisor.run(other)
    host.until(TunnelState.UP)
    host.until(TunnelState.UP, other)
    pid = host.supervisor.status(other).pid

    host.supervisor.forget(ID)

    answers(second)
    assert host.supervisor.status(other).pid == pid
    assert set(host.supervisor._all()) == {other}


def test_two_clients_of_one_name_are_seen(host: Host, make_vps: Callable[..., Vps], game: Game) -> None:
    """They evict each other once a second and both log success: the tunnel is degraded and says why."""
    vps, other = make_vps(), "srv_test_0000000b"
    host.configure(vps, game)
    host.configure(vps, game, other)
    host.start()

    host.supervisor.run(ID)
    host.supervisor.run(other)

    wait_until(
        lambda: "another client" in host.supervisor.status(ID).message, within=25, saying="the second client is named"
    )
    assert host.supervisor.status(ID).state is TunnelState.DEGRADED


def test_a_vps_that_takes_connections_and_says_nothing_is_stuck(
    host: Host, make_vps: Callable[..., Vps], game: Game
) -> None:
    """Rathole waits for ever and logs nothing: after 15 s the state says so."""
    vps = make_vps()
    vps.kill()
    with socket.create_server(("127.0.0.1", vps.port)):
        host.configure(vps, game)
        host.start()
        host.supervisor.run(ID)

        wait_until(
            lambda: host.supervisor.status(ID).reason is TunnelReason.STUCK, within=25, saying="the tunnel is stuck"
        )


def test_the_log_is_rotated_under_a_running_client(host: Host, make_vps: Callable[..., Vps], game: Game) -> None:
    """Rathole goes on writing at the new end, and what it says is still read."""
    vps = make_vps()
    host.configure(vps, game)
    host.start()
    host.supervisor.run(ID)
    host.until(TunnelState.UP)
    pid, log = host.supervisor.status(ID).pid, host.directory / ID / "client.log"

    with log.open("ab") as file:
        file.write(b"filler\n" * (2 << 20))
    wait_until(lambda: log.stat().st_size < 1000, within=5, saying="the log was emptied")
    vps.kill()
    host.until(TunnelState.CONNECTING)

    assert log.with_name("client.log.1").stat().st_size > 10 << 20
    assert log.with_name("client.log.1").stat().st_mode & 0o777 == 0o600
    assert b"\0" not in log.read_bytes()
    assert host.supervisor.status(ID).pid == pid


def test_a_missing_binary_is_a_sentence_and_is_tried_again(
    tmp_path: Path, make_vps: Callable[..., Vps], game: Game
) -> None:
    """Nothing runs, the state says what is missing, and when it comes the tunnel comes."""
    host = Host(tmp_path / "rathole", str(tmp_path / "absent"))
    vps = make_vps()
    host.configure(vps, game)
    host.start()
    try:
        host.supervisor.run(ID)
        assert host.supervisor.status(ID).state is TunnelState.BACKOFF
        assert "absent" in host.supervisor.status(ID).message

        (tmp_path / "absent").symlink_to(vps._binary)
        host.until(TunnelState.UP)
    finally:
        host.close()


FIRST_AGENT = """
import sys, threading
from pathlib import Path
from core.log import configure_logging
from core.models import TunnelState
from rathole.supervisor import Supervisor
from tests.integration.test_rathole_tunnel import ID, Records
from tests.waiting import wait_until
configure_logging()
directory, binary = Path(sys.argv[1]), sys.argv[2]
supervisor = Supervisor(directory, binary, Records(directory.parent / "records.json"), on_change=lambda _: None)
supervisor.adopt()
supervisor.run(ID)
def is_up():
    supervisor.tick()
    return supervisor.status(ID).state is TunnelState.UP
wait_until(is_up, within=10, saying="up")
print(supervisor.status(ID).pid, flush=True)
threading.Event().wait()
"""


def test_a_killed_agents_client_is_adopted_without_a_lost_packet(
    host: Host, make_vps: Callable[..., Vps], game: Game
) -> None:
    """Kill -9 of the agent amid traffic: its successor goes on with the same process, and no packet is lost."""
    vps = make_vps()
    host.configure(vps, game)
    argv = [sys.executable, "-c", FIRST_AGENT, str(host.directory), host.supervisor._tools.binary]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, cwd=Path.cwd()) as agent:
        assert agent.stdout is not None
        pid = int(agent.stdout.readline())
        answers(vps)
        with Traffic(vps) as traffic:
            wait_until(lambda: traffic.received > 200, within=10, saying="traffic flows")
            agent.kill()
            agent.wait()
            host.start()
            host.until(TunnelState.UP, within=3)
            seen = traffic.received
            wait_until(lambda: traffic.received > seen + 200, within=10, saying="traffic goes on")

    assert host.supervisor.status(ID).pid == pid
    assert traffic.lost == 0
    host.supervisor.run(ID)
    assert host.supervisor.status(ID).pid == pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: host.supervisor.status(ID).pid not in (pid, None), within=5, saying="its end was seen")


class Traffic:
    """One visitor that sends a numbered datagram each millisecond and counts what comes back."""

    def __init__(self, vps: Vps) -> None:
        self.sent = self.received = self.lost = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.connect(("127.0.0.1", vps.public))
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._send, self._receive)]

    def _send(self) -> None:
        for number in itertools.count():
            if self._stopping.wait(0.001):
                break
            self._socket.send(str(number).encode())
            self.sent = number + 1

    def _receive(self) -> None:
        while (data := self._socket.recv(100)) != b"last":
            del data
            self.received += 1

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._threads[0].join(5)
        # One UDP path keeps the order, so whatever comes is there before the last one.
        self._socket.send(b"last")
        self._threads[1].join(5)
        self.lost = self.sent - self.received
        self._socket.close()


def test_a_client_that_nobody_recorded_is_ended(host: Host, make_vps: Callable[..., Vps], game: Game) -> None:
    """An agent that died between start and record leaves a stray: it goes before a new one comes."""
    vps = make_vps()
    host.configure(vps, game)
    folder = host.directory / ID
    argv = [host.supervisor._tools.binary, "--client", str(folder / "client.toml")]
    stray = proc.spawn(argv, env=ENV, output=folder / "client.log")

    host.start()

    assert stray.wait(5) == -signal.SIGTERM
    host.supervisor.run(ID)
    host.until(TunnelState.UP)


def test_a_second_client_is_ended_and_the_known_one_left(host: Host, make_vps: Callable[..., Vps], game: Game) -> None:
    """Whoever starts another by hand evicts the first one each second, until the strays are ended."""
    host.configure(make_vps(), game)
    host.start()
    host.supervisor.run(ID)
    pid = host.supervisor.status(ID).pid
    folder = host.directory / ID
    second = proc.spawn(
        [host.supervisor._tools.binary, "--client", str(folder / "client.toml")], env=ENV, output=folder / "second.log"
    )

    host.supervisor.end_strays()

    assert second.wait(5) == -signal.SIGTERM
    assert host.supervisor.status(ID).pid == pid
