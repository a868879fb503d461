"""Says which way players come to the games, and whether the manager would open it: the deploy script's last words.

Exit code 1 where the instance manager gives no tunnel, after a sentence that says what to set.
"""

import sys

from core.errors import ManagerFailed
from core.settings import Settings, load_settings
from rathole.manager import InstanceManager

# A server that is nobody's: its 404 tells that the manager is there and takes the token.
_NOBODY = "srv_deploy_check"
_REACH = "Check RATHOLE_INSTANCE_MANAGER_HOST, RATHOLE_INSTANCE_MANAGER_PORT and the VPS's firewall."
_REMEDIES = {
    "auth_refused": "",  # the sentence itself names the settings
    "manager_refused": "Check RATHOLE_TOKEN and RATHOLE_INSTANCE_MANAGER_PREFIX.",
    "manager_unreachable": _REACH,
    "manager_timeout": _REACH,
    "manager_failed": "Check RATHOLE_INSTANCE_MANAGER_PORT and RATHOLE_INSTANCE_MANAGER_PREFIX, and the manager's log.",
}


def way_of_players(settings: Settings) -> str:
    """Return in words how players reach the games."""
    if settings.manager_url:
        return f"Tunnels: by the manager at {settings.manager_url}"
    if settings.ports_published:
        return "Tunnels: none; the games' ports are published on this host"
    return "Tunnels: none, and PUBLISH_PORTS=false: players reach no game"


def fault_of_manager(settings: Settings) -> str | None:
    """Ask the instance manager, and return what is wrong and what to set; None where all is well."""
    if settings.manager_url is None:
        return None
    try:
        InstanceManager(settings).get(_NOBODY)
    except ManagerFailed as fault:
        return f"{fault.message} {_REMEDIES[fault.code]}".rstrip()
    return None


def main() -> int:
    """Run as a command; see the module's text."""
    settings = load_settings()
    print(way_of_players(settings), flush=True)  # noqa: T201 - a command
    fault = fault_of_manager(settings)
    if fault:
        print(f"Warning: no new tunnel can be made. {fault} After a change in .env run the deploy script again.")  # noqa: T201 - a command
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
