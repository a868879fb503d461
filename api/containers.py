"""Game servers: provision them, run them, look at them, remove them."""

from api import answers
from api.answers import Answer
from api.auth import user_token
from api.requests import RestartBody, ServerBody, StopBody, read
from api.services import Services
from core.errors import InvalidRequest
from core.ids import check_server_id
from core.models import ServerSpec
from provisioning.servers import Cleanup

_STOPPED = {
    Cleanup.STOP: "Server {} is stopped; its data is kept.",
    Cleanup.DELETE: "Server {} and its data are gone.",
    Cleanup.RATHOLE: "The tunnel of server {} and its files are gone.",
}


def spawn(services: Services) -> Answer:
    """Provision a server; the same request again is answered with the server that is there."""
    spec = read(ServerSpec)
    _refuse_reserved(spec.server_id, services)
    return answers.spawned(services.servers.spawn(spec, user_token()))


def _refuse_reserved(server_id: str, services: Services) -> None:
    try:
        check_server_id(server_id, reserved=services.settings.reserved_ids)
    except InvalidRequest as error:
        raise InvalidRequest("invalid_server_id", error.message, serverId=error.message) from error


def start(services: Services) -> Answer:
    """Bring a server up again, with its tunnel and its address."""
    server_id = read(ServerBody).server_id
    return answers.started(services.servers.start(server_id, user_token()))


def stop(services: Services) -> Answer:
    """Stop a server; what goes with it says `cleanupType`. One that is not there is stopped, as asked."""
    body = read(StopBody)
    if not services.servers.knows(body.server_id):
        return answers.ended(answers.nothing_there(body.server_id), None)
    cleanup = body.cleanup_type or Cleanup.STOP
    save = services.servers.stop(body.server_id, cleanup, user_token(), force=bool(body.force))
    return answers.ended(_STOPPED[cleanup].format(body.server_id), save)


def restart(services: Services) -> Answer:
    """Stop and start a server."""
    body = read(RestartBody)
    save = services.servers.restart(body.server_id, user_token(), force=bool(body.force))
    return answers.ended(f"Server {body.server_id} is restarted.", save)


def kill(services: Services) -> Answer:
    """End a game at once, unsaved."""
    server_id = read(ServerBody).server_id
    services.servers.kill(server_id)
    return answers.done(f"Server {server_id} is killed.")


def stop_all(services: Services) -> Answer:
    """Stop every game, because the agent is about to be taken down; what is wanted stays wanted."""
    services.servers.stop_games()
    return answers.done("All games are stopped; those that ran start again with the agent.")


def status(services: Services, server_id: str) -> Answer:
    """Say how a server is."""
    return answers.status(services.servers.view(server_id))


def delete(services: Services, server_id: str) -> Answer:
    """Remove a server with its data. One that is not there is deleted, as asked."""
    if not services.servers.knows(server_id):
        return answers.done(answers.nothing_there(server_id))
    services.servers.delete(server_id, user_token())
    return answers.done(f"Server {server_id} and its data are gone.")


def everything(services: Services) -> Answer:
    """Say how all servers are."""
    return answers.containers(services.servers.views(), services.servers.dangling())
