"""Secrets stay where they belong: in private files, and in nobody's log, label or environment."""

import json

from tests.e2e.conftest import Spawn
from tests.e2e.deployment import DATA, Deployment
from tests.e2e.game import Game

PASSWORD = "pässword-of-the-players-$HOME"


def secrets_of(deployment: Deployment, game: Game) -> set[str]:
    """Return every secret that the agent holds for this server."""
    config = game.client_config()["client"]
    services = {service["token"] for service in config["services"].values()}
    return {deployment.key, deployment.rathole_token, PASSWORD} | services


def test_no_log_holds_a_secret(deployment: Deployment, spawn: Spawn) -> None:
    """Neither the agent's nor the edge's nor the tunnel's, after a whole life with a failure in it."""
    game = spawn(serverPassword=PASSWORD)
    game.assert_reachable()
    deployment.call(
        "POST", f"/api/rathole/clients/{game.id}/configure", json={"serverId": game.id, "clientConfig": "x"}
    )
    found = secrets_of(deployment, game)
    logs = {
        "agent": deployment.agent.logs().decode(),
        "edge": deployment.edge.logs().decode(),
        "tunnel": deployment.in_agent("cat", f"{DATA}/rathole/{game.id}/client.log"),
    }
    assert [(name, secret[:4]) for name, log in logs.items() for secret in found if secret in log] == []


def test_compose_shows_the_log_without_a_secret(deployment: Deployment, spawn: Spawn) -> None:
    """`docker-compose logs` is what an operator looks at: it has what the agent did, and nothing to hide."""
    game = spawn(serverPassword=PASSWORD)
    log = deployment.compose("logs", "--no-color")
    assert any(line.startswith("satis-host-agent") and game.id in line for line in log.splitlines()), log[-2000:]
    assert [secret[:4] for secret in secrets_of(deployment, game) if secret in log] == []


def test_docker_knows_no_secret_of_a_game(deployment: Deployment, spawn: Spawn) -> None:
    """`docker inspect` of the game shows neither its password nor a key of the agent's."""
    game = spawn(serverPassword=PASSWORD)
    inspected = json.dumps(game.container.attrs, ensure_ascii=False)
    assert [secret[:4] for secret in secrets_of(deployment, game) if secret in inspected] == []


def test_no_process_shows_a_secret(deployment: Deployment, spawn: Spawn) -> None:
    """The process list is for everybody's eyes."""
    game = spawn(serverPassword=PASSWORD)
    words = " ".join(word for process in deployment.processes() for word in process.words)
    assert [secret[:4] for secret in secrets_of(deployment, game) if secret in words] == []


def test_files_with_secrets_are_private(deployment: Deployment, spawn: Spawn) -> None:
    """The client's configuration, the record and the store are for the agent alone."""
    game = spawn(serverPassword=PASSWORD)
    files = [
        f"{DATA}/rathole/{game.id}/client.toml",
        f"{DATA}/satisfactory/{game.id}/server.json",
        f"{DATA}/agent/agent.db",
        f"{DATA}/agent/agent.db-wal",
    ]
    assert set(deployment.in_agent("stat", "-c", "%a", *files).split()) == {"600"}
