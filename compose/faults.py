"""What `docker compose` and the engine say when they fail, in words a person can act on."""

import re
from dataclasses import dataclass

from core.errors import AgentError, ComposeFailed, DockerUnavailable


@dataclass(frozen=True)
class _Fault:
    pattern: re.Pattern[str]
    error: type[AgentError]
    code: str
    sentence: str


def _fault(pattern: str, error: type[AgentError], code: str, sentence: str) -> _Fault:
    return _Fault(re.compile(pattern, re.IGNORECASE), error, code, sentence)


# The first that matches counts. Texts of Compose 2.26 with engine 20.10, each tried, unless it says otherwise.
_FAULTS = (
    _fault(
        r"cannot connect to the docker daemon|error during connect|is the docker daemon running",
        DockerUnavailable,
        "docker_unavailable",
        "The Docker engine is not reachable; start it, then try again.",
    ),
    _fault(
        r"permission denied while trying to connect",
        DockerUnavailable,
        "docker_forbidden",
        "The Docker socket refuses the agent; give its user access to /var/run/docker.sock.",
    ),
    _fault(
        r"'compose' is not a docker command|unknown command: docker compose|unknown shorthand flag: 'p' in -p",
        ComposeFailed,
        "compose_missing",
        "`docker compose` is not installed beside `docker`; install Docker Compose 2.",
    ),
    _fault(
        r"no space left on device",
        ComposeFailed,
        "no_space",
        "The disk is full; free some space where Docker and the data directory are, then try again.",
    ),
    _fault(
        r"multiple networks with name \"?(?P<name>[\w.-]+)|network (?P<other>[\w.-]+) is ambiguous",
        ComposeFailed,
        "network_ambiguous",
        "There are several Docker networks named {name}; remove the unused ones with `docker network rm <id>`.",
    ),
    _fault(
        # "declared as external" is what Compose 2.27 and later say.
        r"network (?P<name>[\w.-]+) (not found|declared as external)",
        ComposeFailed,
        "network_missing",
        "The Docker network {name} does not exist, or was made anew; the container must be made anew on it.",
    ),
    _fault(
        r"no such image: (?P<name>[^\s:]+(:[\w.-]+)?)",
        ComposeFailed,
        "image_missing",
        "The image {name} is not on this host; pull it with `docker pull {name}`.",
    ),
    _fault(
        r"container name \"/?(?P<name>[\w.-]+)\" is already in use",
        ComposeFailed,
        "name_in_use",
        "A container named {name} that is not of this server's project is in the way; remove or rename it.",
    ),
    _fault(
        r"bind for [^\s]*:(?P<name>\d+) failed: port is already allocated"
        r"|listen \w+ [^\s]*:(?P<other>\d+): bind: address already in use",
        ComposeFailed,
        "port_in_use",
        "Port {name} of this host is in use; stop what listens there, or set PUBLISH_PORTS=false.",
    ),
    _fault(
        r"bind source path does not exist: (?P<name>.+)",
        ComposeFailed,
        "data_path_missing",
        "Docker does not see {name}; SATIS_DATA_DIR must be the same path on the host and in the agent.",
    ),
    _fault(
        r"container \S+ is not running",
        ComposeFailed,
        "container_not_running",
        "The container is not running; start the server first.",
    ),
    _fault(
        r"range of cpus is from [\d.]+ to (?P<name>\d+)",
        ComposeFailed,
        "too_many_cpus",
        "This host has {name} CPUs, fewer than the server asks for; lower cpuAllocation.",
    ),
)

# Progress, warnings, and anything that might quote a variable's value.
_NOISE = re.compile(r"^\s*Container \S+ +\w+$|^time=|^warning|environment", re.IGNORECASE)
_PREFIX = "Error response from daemon: "
_LONGEST = 300


def classify(text: str) -> AgentError:
    """Return the error for what Docker wrote when it failed.

    Args:
        text: stderr of `docker compose`, or the engine's explanation.
    """
    for fault in _FAULTS:
        if found := fault.pattern.search(text):
            name = next((group for group in found.groupdict().values() if group), "")
            return fault.error(fault.code, fault.sentence.format(name=name))
    return ComposeFailed("compose_failed", f"Docker could not do it: {_gist(text)}.")


def _gist(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _NOISE.search(line)]
    said = next((line for line in lines if line.startswith(_PREFIX)), lines[0] if lines else "it said nothing")
    return said.removeprefix(_PREFIX).rstrip(".")[:_LONGEST]
