"""What the stand-in is told from outside: the default image's environment, and a few knobs of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOCAL_ADMINISTRATOR = "FG.DedicatedServer.AllowInsecureLocalAccess=1"


@dataclass(frozen=True)
class Config:
    """How one stand-in behaves.

    Attributes:
        game_port: of the lightweight query (UDP) and of the HTTPS API (TCP).
        messaging_port: of the messages to players (TCP).
        max_players: the limit that the API names.
        address: what all sockets are bound to.
        directory: the game's data, `/config` in the container.
        startup_seconds: how long nothing answers.
        loading_seconds: how long the game then loads: the query answers, the API does not.
        crash_after: seconds from the start of the process to its end with exit code 0; None is never.
        save_seconds: how long a save takes before it is on disk; nothing else is answered meanwhile.
        save_fails: every save is refused.
        local_administrator: callers from loopback may do everything without a token.
    """

    game_port: int
    messaging_port: int
    max_players: int
    address: str
    directory: Path
    startup_seconds: float
    loading_seconds: float
    crash_after: float | None
    save_seconds: float
    save_fails: bool
    local_administrator: bool


def read_config(environ: Mapping[str, str], arguments: Sequence[str]) -> Config:
    """Read the environment and the game's command line.

    Raises:
        ValueError: one of the stand-in's own knobs is not a number of seconds.
    """
    crash_after = _seconds(environ, "STANDIN_CRASH_AFTER")
    return Config(
        game_port=_integer(environ, "SERVERGAMEPORT", 7777),
        messaging_port=_integer(environ, "SERVERMESSAGINGPORT", 8888),
        max_players=_integer(environ, "MAXPLAYERS", 4),
        address=environ.get("MULTIHOME") or "::",
        directory=Path(environ.get("STANDIN_CONFIG_DIRECTORY", "/config")),
        startup_seconds=_seconds(environ, "STANDIN_STARTUP_SECONDS"),
        loading_seconds=_seconds(environ, "STANDIN_LOADING_SECONDS"),
        crash_after=crash_after or None,
        save_seconds=_seconds(environ, "STANDIN_SAVE_SECONDS"),
        save_fails=environ.get("STANDIN_SAVE_FAILS") == "true",
        local_administrator=any(LOCAL_ADMINISTRATOR in argument for argument in arguments),
    )


def _integer(environ: Mapping[str, str], name: str, default: int) -> int:
    # The image replaces what is not a number by its default without a word (run.sh of v1.9.10).
    value = environ.get(name, "")
    return int(value) if value.isdecimal() else default


def _seconds(environ: Mapping[str, str], name: str) -> float:
    value = environ.get(name, "0")
    try:
        return float(value)
    except ValueError:
        raise ValueError(f"{name} is {value!r}; give a number of seconds, e.g. 2.5.") from None
