"""The rathole clients, one for each server."""

from api import answers
from api.answers import Answer
from api.auth import user_token
from api.requests import ConfigureBody, TunnelBody, read
from api.services import Services
from core.errors import InvalidRequest


def clients(services: Services) -> Answer:
    """Say which clients there are."""
    return answers.clients(services.servers.clients())


def configure(services: Services, server_id: str) -> Answer:
    """Check a client.toml and let the server's tunnel use it."""
    body = read(ConfigureBody)
    # Ids that differ in case only are one id.
    if body.server_id is not None and body.server_id.lower() != server_id.lower():
        message = f"The body names {body.server_id}, the path {server_id}; send one id, or none in the body."
        raise InvalidRequest("invalid_server_id", message, serverId=message)
    services.servers.configure_tunnel(server_id, body.client_config, user_token())
    return answers.done(f"The tunnel of server {server_id} is configured.")


def start(services: Services, server_id: str) -> Answer:
    """Bring a server's tunnel up; one that does not come up at once is tried on, and the answer says why."""
    services.servers.start_tunnel(server_id, read(TunnelBody).ports, user_token())
    return answers.tunnel_started(services.servers.view(server_id))


def stop(services: Services, server_id: str) -> Answer:
    """End a server's tunnel; needs no body. One that is not there is ended, as asked."""
    if not services.servers.knows(server_id):
        return answers.done(answers.nothing_there(server_id))
    services.servers.stop_tunnel(server_id, user_token())
    return answers.done(f"The tunnel of server {server_id} is stopped.")
