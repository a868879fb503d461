"""The node itself: how busy it is, whether it lives, whether it can work."""

from api import answers
from api.answers import Answer
from api.errors import LoopsStuck
from api.services import Services


def stats(services: Services) -> Answer:
    """Say how busy the node is and what runs on it."""
    return answers.stats(services.settings.node_id, services.stats(), services.servers.views())


def health(services: Services) -> Answer:
    """Say that the agent answers."""
    return answers.health(services.settings.node_id)


def alive(services: Services) -> Answer:
    """Say that every loop has passed lately; 503 names those that have not."""
    dead = sorted(name for name, loop in services.runtime.alive().items() if not loop.alive)
    if dead:
        raise LoopsStuck("loops_stuck", f"These loops of the agent make no progress: {', '.join(dead)}.", loops=dead)
    return {"status": "healthy"}


def ready(services: Services) -> Answer:
    """Say that the agent can work now; 503 says what is missing."""
    services.runtime.ready()
    return {"status": "ready"}
