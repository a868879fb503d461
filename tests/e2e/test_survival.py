"""The agent dies in every way there is, while packets go through the tunnels; they do not notice."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from docker.models.containers import Container

from core.log import get_logger
from satisfactory.query import poll
from tests.e2e.conftest import Spawn
from tests.e2e.deployment import Deployment, Process
from tests.e2e.game import Game
from tests.e2e.traffic import Pulse, Traffic
from tests.waiting import wait_until

log = get_logger("survival")

ROUNDS = 20 if os.environ.get("SATIS_LONG") else 1
_BACK_WITHIN = 2.0  # seconds
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


@pytest.mark.timeout(120 * ROUNDS)
@pytest.mark.parametrize("strike", [_kill_worker, _kill_master, _hang_up, _starve])
def test_no_packet_is_lost_by_the_agents_death(
    deployment: Deployment, spawn: Spawn, strike: Callable[[Deployment], None]
) -> None:
    """At 1,000 packets a second of UDP and of TCP: none lost, the same rathole, the same game, the API back in 2 s."""
    game = spawn()
    game.wait_until_settled()
    before = (game.pid, game.started_at)
    for _ in range(ROUNDS):
        worker = deployment.worker()
        with Traffic(game) as traffic, Pulse(deployment) as pulse:
            strike(deployment)
            _wait_for_another(deployment, worker)
            traffic.go_on(3)
        traffic.assert_nothing_lost(f"{strike.__name__}, API silent for {pulse.longest_silence:.2f} s")
        assert pulse.longest_silence < _BACK_WITHIN
        assert (game.pid, game.started_at) == before
        assert len(deployment.tunnel_clients(game.id)) == 1


def _wait_for_another(deployment: Deployment, worker: Process) -> None:
    wait_until(lambda: deployment.worker() != worker, within=30, saying="another worker is there")
    wait_back(deployment)


def wait_back(deployment: Deployment) -> None:
    """Wait until the API answers and works."""
    wait_until(lambda: deployment.call("GET", "/readyz").ok, within=30, saying="the agent is ready")


def test_games_play_on_without_an_agent(deployment: Deployment, spawn: Spawn) -> None:
    """SIGTERM ends it within its grace; no game is restarted, and the tunnels are up 3 s after its next start."""
    game = spawn()
    game.wait_until_settled()
    started_at = game.started_at
    deployment.recreate_agent()
    wait_until(lambda: _answers(game), within=30, saying="players reach the game again", every=0.05)
    began = datetime.fromisoformat(deployment.agent.attrs["State"]["StartedAt"])
    log.info("recreated", tunnel_up_after=(datetime.now(UTC) - began).total_seconds())
    assert datetime.now(UTC) - began < timedelta(seconds=3)
    assert game.started_at == started_at


def _answers(game: Game) -> bool:
    return poll("127.0.0.1", game.game_port, timeout=0.2) is not None


@pytest.mark.parametrize(
    "end", [Container.kill, lambda container: container.remove(force=True)], ids=["killed", "gone"]
)
def test_after_a_reboot_all_is_as_it_was_wanted(
    deployment: Deployment, spawn: Spawn, end: Callable[[Container], None]
) -> None:
    """What should run runs, what was stopped stays so, though neither manager nor VPS is there; players come later."""
    plays, rests = spawn(), spawn()
    plays.wait_until_settled()
    rests.order("stop")
    deployment.edge.stop()
    deployment.agent.kill()
    end(plays.container)
    deployment.agent.start()
    wait_until(lambda: plays.container.status == "running", within=30, saying="what should run runs")
    wait_until(lambda: plays.phase == "degraded", within=30, saying="it waits for its tunnel alone")
    assert (rests.container.status, rests.phase) == ("exited", "stopped")
    deployment.edge.start()
    plays.assert_reachable(within=60)
