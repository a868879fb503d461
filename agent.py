"""The Satis Host Agent: wiring. `create_app` builds everything and starts nothing."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import requests
from dotenv import load_dotenv
from flask import Flask
from gunicorn.app.wsgiapp import run as run_gunicorn

from api import answers
from api.face import register
from api.services import Services
from compose.engine import DEFAULT_SOCKET, Engine
from compose.file import render as generate_docker_compose_config
from compose.runner import Compose
from core.clock import utc_now
from core.errors import AgentError
from core.operations import OperationTable
from core.orphans import OrphanTable
from core.processes import ProcessTable
from core.servers import ServerTable
from core.settings import Settings, SettingsFault, load_settings
from core.store import Store
from orchestrator.heartbeat import make_heartbeat
from orchestrator.node import NodeMeter
from provisioning.actions import Actions
from provisioning.admins import Admins
from provisioning.claims import Claims
from provisioning.crashes import Crashes
from provisioning.credentials import Credentials
from provisioning.dangling import Dangling
from provisioning.docker_events import DockerEvents
from provisioning.ending import drain_patience
from provisioning.games import Games
from provisioning.hands import Hands
from provisioning.instances import Instances
from provisioning.layout import Layout
from provisioning.loops import Loop
from provisioning.operations import Operations
from provisioning.reconciler import Reconciler
from provisioning.recovery import recover
from provisioning.runtime import Runtime
from provisioning.saving import Saving
from provisioning.servers import Servers
from provisioning.stops import Stops
from provisioning.trust import TrustedNetworks
from provisioning.watchdog import Watchdog
from rathole.config import generate_rathole_client_config
from rathole.manager import InstanceManager
from rathole.supervisor import Supervisor

__all__ = ["create_app", "generate_docker_compose_config", "generate_rathole_client_config"]

_STOP_GAMES_MARGIN = 30.0  # seconds: the agent gives up first, and says which games still run


def create_app(settings: Settings | None = None) -> Flask:
    """Build the agent.

    Nothing runs until `app.extensions["runtime"].start()` is called by the one who owns the data directory.

    Args:
        settings: the operator's; by default those of the environment and `.env`.

    Raises:
        SettingsFault: something is set wrong; every fault is named.
        StoreFailed: the store cannot be opened.
    """
    settings = settings or settings_from_here()
    store = Store(Layout(settings.satis_data_dir).database)

    def tunnel_changed(server_id: str) -> None:
        reconciler.wake_known(server_id)

    def docker_returned() -> None:
        """Docker tells nothing of what became of the games meanwhile, and all failed without it."""
        reconciler.wake_all(urgent=True)

    hands = _hands(settings, store, tunnel_changed, docker_returned)
    operations = Operations(store, OperationTable(store))
    actions = Actions(hands)
    reconciler = Reconciler(hands, operations, actions)
    trust = TrustedNetworks(settings.host_agent_trusted_networks, hands.engine)
    dangling = Dangling(settings, hands.layout, hands.servers, hands.engine, clock=time.monotonic)
    servers = Servers(hands, operations, actions, reconciler, dangling)
    meter = NodeMeter(settings.satis_data_dir)
    heartbeat = _heartbeat(settings, meter, servers)
    events = DockerEvents(hands.stops, reconciler)
    runtime = Runtime(store, hands, reconciler, events, trust, dangling, heartbeat)
    app = Flask("agent", static_folder=None)
    register(app, Services(settings, servers, runtime, meter.read, trust))
    app.extensions["runtime"] = runtime
    return app


def settings_from_here() -> Settings:
    """Read `.env` beside this file, then the environment, which wins."""
    load_dotenv(Path(__file__).with_name(".env"))
    return load_settings()


def _hands(
    settings: Settings, store: Store, tunnel_changed: Callable[[str], None], docker_returned: Callable[[], None]
) -> Hands:
    layout = Layout(settings.satis_data_dir)
    servers = ServerTable(store)
    manager = InstanceManager(settings) if settings.manager_url else None
    engine = Engine(os.environ.get("DOCKER_HOST", DEFAULT_SOCKET))
    games = Games(time.monotonic)
    admins = Admins(engine, Credentials(layout))
    return Hands(
        settings=settings,
        layout=layout,
        servers=servers,
        engine=engine,
        compose=Compose(os.environ, ProcessTable(store, "compose"), up_deadline=settings.compose_timeout),
        supervisor=Supervisor(
            layout.tunnels, settings.rathole_client_binary, ProcessTable(store, "tunnel"), on_change=tunnel_changed
        ),
        instances=Instances(manager, settings, servers, OrphanTable(store), clock=time.monotonic),
        games=games,
        watchdog=Watchdog(
            settings.watchdog_seconds, clock=time.monotonic, changed=tunnel_changed, names_resolve=engine.answers
        ),
        crashes=Crashes(settings, servers, logs=engine.logs, wall=time.time),
        stops=Stops(engine, servers, clock=time.time, returned=docker_returned),
        claims=Claims(admins),
        saving=Saving(admins, games, layout, settings.save_timeout, wall=time.time),
        own_container=Engine.own_container(),
        clock=time.monotonic,
    )


def _heartbeat(settings: Settings, meter: NodeMeter, servers: Servers) -> Loop | None:
    if settings.orchestrator_url is None:
        return None
    heartbeat = make_heartbeat(
        settings,
        stats=lambda: answers.stats(settings.node_id, meter.read(), servers.views()),
        looked=lambda: all(view.observed_at for view in servers.views()),
    )
    return Loop("heartbeat", heartbeat.step)


def main(words: list[str]) -> int:
    """Run the agent without a container, or one of its small commands; return the exit code."""
    if not words:
        sys.argv = ["gunicorn", "-c", str(Path(__file__).with_name("gunicorn.conf.py"))]
        run_gunicorn()
        return 0
    command = {"stop-games": stop_games, "recover": recover_store}.get(" ".join(words))
    if command is None:
        sys.stderr.write("Usage: python agent.py [stop-games | recover]\n")
        return 2
    try:
        settings = settings_from_here()
    except SettingsFault as fault:
        sys.stderr.write(f"The settings cannot be used:\n{fault}\n")
        return 2
    return command(settings)


def stop_games(settings: Settings) -> int:
    """Ask the agent that runs here to stop all games, without changing what is wanted of them."""
    scheme = "https" if settings.host_agent_tls_cert else "http"
    try:
        answer = requests.post(
            f"{scheme}://127.0.0.1:{settings.host_agent_port}/api/containers/stop-all",
            headers={"X-API-Key": settings.host_agent_api_key.get_secret_value()},
            timeout=drain_patience(settings) + _STOP_GAMES_MARGIN,
            verify=False,  # noqa: S501 - our own certificate, which names another host, on our own loopback
        )
    except requests.RequestException as error:
        sys.stderr.write(f"The agent on port {settings.host_agent_port} does not answer ({type(error).__name__}).\n")
        return 1
    try:
        sys.stdout.write(f"{answer.json()['message']}\n")
    except (ValueError, TypeError, KeyError):  # not JSON, no object, no message
        sys.stderr.write(f"What answers on port {settings.host_agent_port} ({answer.status_code}) is no agent.\n")
        return 1
    return 0 if answer.ok else 1


def recover_store(settings: Settings) -> int:
    """Build a damaged or lost store again from what stands beside each server's data; say what came of it."""
    try:
        done = recover(Layout(settings.satis_data_dir), utc_now())
    except AgentError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    if done.kept:
        sys.stdout.write(f"The damaged store is kept as {done.kept}.\n")
    sys.stdout.write(f"The store knows {len(done.servers)} servers again: {', '.join(done.servers)}.\n")
    sys.stderr.writelines(f"Left out: {sentence}\n" for sentence in done.left_out)
    return 1 if done.left_out else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
