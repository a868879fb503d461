"""The agent dies in every way there is, while packets go through the tunnels; they do not notice."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest
from docker.models.containers import Container

from core.log import get_logger
from satisfactory.query import poll
from tests.e2e.conftest import Spawn
from tests.e2e.deployment import Deployment, Process
from tests.e2e.game import Game
from tests.e2e.rounds import ROUNDS
from tests.e2e.traffic import Pulse, Traffic
from tests.waiting import wait_until

log = get_logger("survival")

_BACK_WITHIN = 2.0  # seconds
_GRACE = 45  # stop_grace_period in docker-compose.yml
_ROOM = 32 << 20  # bytes
_AMPLE = 2 << 30


def _kill_worker(deployment: Deployment) -> None:
    deployment.kill(deployment.worker())


def _kill_master(deployment: Deployment) -> None:
    deployment.kill(deployment.master())


def _hang_up(deployment: Deployment) -> None:
    deployment.in_agent("bash", "-c", f"kill -HUP {deployment.master().pid}")


def _starve(deployment: Deployment) -> None:
    """Leave the container too little memory for one process more; the kernel kills for it.

    The worker is the largest, so it would be chosen anyway; its score is raised so that no round is left to luck.
    """
    agent, worker, killed = deployment.agent, deployment.worker(), _oom_kills(deployment)
    deployment.in_agent("bash", "-c", f"echo 1000 > /proc/{worker.pid}/oom_score_adj")
    used = agent.stats(stream=False)["memory_stats"]["stats"]
    limit = used.get("total_rss", used.get("anon")) + _ROOM
    agent.update(mem_limit=limit, memswap_limit=limit)
    try:
        agent.exec_run(["python", "-c", f"bytearray(b'x' * {2 * _ROOM})"])
        wait_until(lambda: _oom_kills(deployment) > killed, within=10, saying="the kernel has killed for memory")
    finally:
        agent.update(mem_limit=_AMPLE, memswap_limit=_AMPLE)


def _oom_kills(deployment: Deployment) -> int:
    """Return the kernel's own count, in either age of cgroups."""
    files = "/sys/fs/cgroup/memory/memory.oom_control /sys/fs/cgroup/memory.events"
    counts = deployment.in_agent("bash", "-c", f"cat {files} 2>/dev/null || true").splitlines()
    return int(dict(line.split() for line in counts)["oom_kill"])


@pytest.mark.long
@pytest.mark.timeout(360 + 60 * ROUNDS)
@pytest.mark.parametrize("strike", [_kill_worker, _kill_master, _hang_up, _starve])
def test_no_packet_is_lost_by_the_agents_death(
    deployment: Deployment, spawn: Spawn, strike: Callable[[Deployment], None]
) -> None:
    """At 1,000 packets a second of UDP and of TCP: none lost, the same rathole, the same game, the API back in 2 s.

    Half of the times in less, and never in more than twice as much: what a host that is busy otherwise adds to one time
    is no fault of the agent's.
    """
    game = spawn()
    game.wait_until_settled()
    before, silences = (game.pid, game.started_at), []
    for _ in range(max(ROUNDS, 3)):
        worker = deployment.worker()
        with Traffic(game) as traffic, Pulse(deployment) as pulse:
            strike(deployment)
            _wait_for_another(deployment, worker)
            traffic.go_on(3)
        traffic.assert_nothing_lost(f"{strike.__name__}, API silent for {pulse.longest_silence:.2f} s")
        silences.append(pulse.longest_silence)
        assert (game.pid, game.started_at) == before
        assert len(deployment.tunnel_clients(game.id)) == 1
    assert (median(silences) < _BACK_WITHIN, max(silences) < 2 * _BACK_WITHIN) == (True, True), silences


def _wait_for_another(deployment: Deployment, worker: Process) -> None:
    wait_until(lambda: deployment.worker() != worker, within=30, saying="another worker is there")
    wait_back(deployment)


def wait_back(deployment: Deployment) -> None:
    """Wait until the API answers and works."""
    wait_until(lambda: deployment.call("GET", "/readyz").ok, within=30, saying="the agent is ready")


def test_all_tunnels_are_up_soon_after_an_upgrade(deployment: Deployment, spawn: Spawn) -> None:
    """Compose replaces the agent's container: no game is restarted, and players are served 3 s after its start."""
    games = [spawn() for _ in range(3)]
    for game in games:
        game.wait_until_settled()
    before = [game.started_at for game in games]
    deployment.recreate_agent()
    wait_until(lambda: all(map(_answers, games)), within=30, saying="players reach all games again", every=0.05)
    took = datetime.now(UTC) - datetime.fromisoformat(deployment.agent.attrs["State"]["StartedAt"])
    log.info("recreated", tunnels_up_after=took.total_seconds())
    assert took < timedelta(seconds=3)
    assert [game.started_at for game in games] == before


def test_an_orderly_stop_lets_what_is_under_way_end(deployment: Deployment, spawn: Spawn) -> None:
    """`docker stop` waits for a game's save, within its grace; games play on, and the next start finds all well."""
    plays, saves = spawn(), spawn(environmentVariables={"STANDIN_SAVE_SECONDS": "3"})
    for game in (plays, saves):
        game.wait_until_settled()
    before = plays.started_at
    with ThreadPoolExecutor() as aside:
        stopping = aside.submit(saves.order, "stop")
        wait_until(lambda: saves.status()["agent"]["operation"]["status"] == "running", within=5, saying="it saves")
        began = time.monotonic()
        deployment.agent.stop(timeout=_GRACE)
        took = time.monotonic() - began
        stopping.result()
    log.info("stopped", seconds=took)
    assert took < _GRACE
    assert deployment.agent.attrs["State"]["ExitCode"] == 0
    deployment.agent.start()
    wait_back(deployment)
    wait_until(lambda: (plays.phase, saves.phase) == ("ready", "stopped"), within=30, saying="all is as it was wanted")
    assert plays.started_at == before
    assert any(name.startswith("agent_stop") for name in saves.saves())


def _answers(game: Game) -> bool:
    return poll("127.0.0.1", game.game_port, timeout=0.2) is not None


def _remove(container: Container) -> None:
    container.remove(force=True)


@pytest.mark.long
@pytest.mark.timeout(120 * ROUNDS)
@pytest.mark.parametrize("end", [Container.kill, _remove, Container.restart], ids=["killed", "gone", "restarted"])
def test_after_a_reboot_all_is_as_it_was_wanted(
    deployment: Deployment, spawn: Spawn, end: Callable[[Container], None]
) -> None:
    """What should run runs, what was stopped stays so, though neither manager nor VPS is there; players come later.

    Restarted are also those that were stopped, as by `docker restart` of everything.
    """
    plays, rests = spawn(), spawn()
    rests.order("stop")
    for _ in range(ROUNDS):
        plays.wait_until_settled()
        _reboot(deployment, plays, rests, end)


def _reboot(deployment: Deployment, plays: Game, rests: Game, end: Callable[[Container], None]) -> None:
    deployment.edge.stop()
    deployment.agent.kill()
    end(plays.container)
    if end is Container.restart:
        end(rests.container)
    deployment.agent.start()
    wait_until(lambda: plays.container.status == "running", within=30, saying="what should run runs")
    wait_until(lambda: plays.phase == "degraded", within=30, saying="it waits for its tunnel alone")
    wait_until(
        lambda: (rests.container.status, rests.phase) == ("exited", "stopped"), within=30, saying="what rested rests"
    )
    deployment.edge.start()
    plays.assert_reachable(within=60)
