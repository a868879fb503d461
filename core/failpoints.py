"""Places at which the agent can be made to die, so that a test can show that dying there costs nothing.

`FAILPOINT=<name>` in the environment ends the worker where the point of that name is reached first, as suddenly
as the kernel would: no handler runs, no file is closed. Unset, a point costs one look into the environment.
"""

import os
from enum import StrEnum

_KILLED = 137  # what a shell and Docker say of a process that SIGKILL ended


class Failpoint(StrEnum):
    """One behind every commit to the store, and one behind every effect on the world outside."""

    # Commits. Where transactions are nested, the outermost one's name counts.
    OPERATION_BEGUN = "operation_begun"
    STEP_MARKED = "step_marked"
    OPERATION_ENDED = "operation_ended"
    SERVER_WRITTEN = "server_written"
    ROW_REMOVED = "row_removed"
    INSTANCE_KEPT = "instance_kept"
    INSTANCE_RELEASED = "instance_released"
    ORPHAN_REMOVED = "orphan_removed"
    COMPOSE_RECORDED = "compose_recorded"
    COMPOSE_FORGOTTEN = "compose_forgotten"
    TUNNEL_RECORDED = "tunnel_recorded"
    TUNNEL_FORGOTTEN = "tunnel_forgotten"

    # Effects of one server.
    RECORD_WRITTEN = "record_written"
    COMPOSE_FILE_WRITTEN = "compose_file_written"
    CLIENT_CONFIG_WRITTEN = "client_config_written"
    DIGEST_WRITTEN = "digest_written"
    CREDENTIALS_WRITTEN = "credentials_written"
    CREDENTIALS_REMOVED = "credentials_removed"
    INSTANCE_MADE = "instance_made"
    CONFIG_FETCHED = "config_fetched"
    INSTANCE_REMOVED = "instance_removed"
    COMPOSE_SPAWNED = "compose_spawned"
    COMPOSE_UP = "compose_up"
    CONTAINER_STOPPED = "container_stopped"
    GAME_CLAIMED = "game_claimed"
    GAME_LOCKED = "game_locked"
    SAVE_DONE = "save_done"
    CONTAINER_KILLED = "container_killed"
    CONTAINER_REMOVED = "container_removed"
    TUNNEL_SPAWNED = "tunnel_spawned"
    TUNNEL_ENDED = "tunnel_ended"
    TUNNEL_BOUNCED = "tunnel_bounced"
    DIRECTORY_TRASHED = "directory_trashed"
    DIRECTORY_REMOVED = "directory_removed"

    # Effects of which a host sees one, whatever the number of its servers.
    NETWORK_MADE = "network_made"
    NETWORK_JOINED = "network_joined"
    IMAGE_PULLED = "image_pulled"


def reached(point: Failpoint) -> None:
    """Die here, if that is asked for."""
    if os.environ.get("FAILPOINT") == point:
        os._exit(_KILLED)
