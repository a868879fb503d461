"""The Docker engine: the only user of its SDK, and the border where its errors become ours."""

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from docker.errors import APIError

from compose.client import API_VERSION, Client, split_streams, spoken_version, start_exec, translated, until_end
from compose.container import Container, Event, Network, container_of, event_of, network_of
from compose.file import SERVER_LABEL
from core.errors import ComposeFailed, DeadlinePassed, DockerUnavailable, NotFound
from core.failpoints import Failpoint, reached
from core.proc import Completed

DEFAULT_SOCKET = "unix:///var/run/docker.sock"

_STOP_SLACK = 30.0
_PING_TIMEOUT = 1.5
# Not the execs, since our own probes are such, and the name of such an event holds its argv.
_EVENTS = {
    "type": ["container", "network"],
    "event": [
        "create",
        "start",
        "die",
        "oom",
        "kill",
        "stop",
        "pause",
        "unpause",
        "rename",
        "destroy",
        "connect",
        "disconnect",
    ],
}
_ABSENT, _CONFLICT = 404, 409

# Docker mounts this file into every container out of a folder that is named by the container's id. Other
# lines of a *host's* table name containers, too.
_OWN_HOSTNAME = re.compile(r"/containers/([0-9a-f]{64})/hostname /etc/hostname ")


class Engine:
    """The engine of this host. Each call has a deadline and raises errors of ours only.

    All calls may raise DockerUnavailable (the engine is away or silent) and ComposeFailed (it refused; the
    code is one of `compose.faults`), and those that name something NotFound.

    Args:
        base_url: where the engine listens.
        timeout: how long one call may take, in seconds, where nothing else is said.
        clock: the wall clock, in seconds since 1970.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_SOCKET,
        *,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url
        self._timeout = timeout
        self._clock = clock

    @cached_property
    def _version(self) -> str:
        return spoken_version(self._base_url, self._timeout)

    @cached_property
    def _client(self) -> Client:
        return self._client_with(self._timeout)

    def _client_with(self, timeout: float) -> Client:
        return Client(base_url=self._base_url, version=self._version, timeout=timeout)  # type: ignore[arg-type]  # seconds may be a fraction

    def ping(self) -> None:
        """Return if the engine answers within 1.5 s: whoever wants a change shall not wait for one that hangs."""
        # Without a version, which an engine that was never reached cannot be asked for in so short a time.
        with Client(base_url=self._base_url, version=API_VERSION, timeout=_PING_TIMEOUT) as client, translated():  # type: ignore[arg-type]  # seconds may be a fraction
            client.get(f"{client.base_url}/_ping").raise_for_status()

    def answers(self) -> bool:
        """Tell whether it answers within 1.5 s."""
        try:
            self.ping()
        except (DockerUnavailable, ComposeFailed):
            return False
        return True

    def container(self, name: str) -> Container | None:
        """Return the container of this name or id; None where there is none."""
        try:
            with translated():
                return container_of(self._client.inspect_container(name))
        except NotFound:
            return None

    def namesakes(self, name: str) -> list[Container]:
        """Return the containers whose name is `name` but for its case, which Docker's DNS does not see."""
        with translated():
            listed = self._client.containers(all=True, filters={"name": f"(?i)^/?{re.escape(name)}$"})
        return [found for entry in listed if (found := self.container(entry["Id"]))]

    def containers(self, names: Collection[str] = ()) -> list[Container]:
        """Return all containers that carry the server label or one of `names`, running or not."""
        with translated():
            listed = self._client.containers(all=True)
        wanted = [
            entry["Id"]
            for entry in listed
            if SERVER_LABEL in entry["Labels"] or {name.removeprefix("/") for name in entry["Names"]} & set(names)
        ]
        # One may be removed between the list and the look at it.
        return [found for key in wanted if (found := self.container(key))]

    def networks(self, name: str) -> list[Network]:
        """Return all networks of exactly this name, the oldest first; Docker's names are not unique."""
        return [network for network in self._networks(names=[name]) if network.name == name]

    def all_networks(self) -> list[Network]:
        """Return every network of the engine, the oldest first."""
        return self._networks()

    def _networks(self, names: list[str] | None = None) -> list[Network]:
        with translated():
            listed = self._client.networks(names=names)  # Docker also finds names that merely contain one
        found = [network for entry in listed if (network := self._network(entry["Id"]))]
        return sorted(found, key=lambda network: network.created)

    def _network(self, key: str) -> Network | None:
        """Return a network; None where it was removed since it was listed."""
        try:
            with translated():
                return network_of(self._client.inspect_network(key))
        except NotFound:
            return None

    def create_network(self, name: str, labels: Mapping[str, str]) -> None:
        """Make a bridge network; one that exists is fine, but callers that race can make several."""
        with translated(fine=[_CONFLICT]):
            self._client.create_network(name, driver="bridge", labels=dict(labels), check_duplicate=True)

    def remove_network(self, network_id: str) -> None:
        """Remove a network on which nothing runs; one that is not there is fine."""
        with translated(fine=[_ABSENT]):
            self._client.remove_network(network_id)

    def connect(self, network_id: str, container: str, aliases: Sequence[str] = ()) -> None:
        """Put a container on a network, where it is found by its name and `aliases`."""
        with translated():
            self._client.connect_container_to_network(container, network_id, aliases=list(aliases))

    def image_present(self, reference: str) -> bool:
        """Tell whether an image is on this host."""
        try:
            with translated():
                self._client.inspect_image(reference)  # type: ignore[no-untyped-call]
        except NotFound:
            return False
        return True

    def pull(self, reference: str, *, stalled_after: float = 120.0) -> None:
        """Get an image from its registry.

        Args:
            reference: e.g. `wolveix/satisfactory-server:v1.9.10`.
            stalled_after: seconds without any progress after which it is given up.

        Raises:
            DeadlinePassed: no progress.
            ComposeFailed: the registry cannot be reached or does not have it.
        """
        stalled = DeadlinePassed(
            "pull_stalled", f"Pulling {reference} made no progress for {stalled_after:g} s; try again."
        )
        with self._client_with(stalled_after) as client, translated(silence=stalled):
            try:
                fault = _last_fault(client.pull(reference, stream=True, decode=True))
            except APIError as error:
                fault = str(error.explanation)
        if fault:
            raise ComposeFailed("image_not_pulled", f"The image {reference} cannot be pulled: {fault}.")
        reached(Failpoint.IMAGE_PULLED)

    def stop(self, name: str, grace: float) -> None:
        """Stop a container, with `grace` seconds between its stop signal and the kill.

        One that is stopped, or not there, is fine.
        """
        with self._client_with(_STOP_SLACK) as client, translated(fine=[_ABSENT]):
            client.stop(name, timeout=round(grace))

    def kill(self, name: str) -> None:
        """Kill a container; one that does not run is fine. Docker does not restart it (tried with 20.10)."""
        with translated(fine=[_CONFLICT]):
            self._client.kill(name)

    def remove(self, name: str) -> None:
        """Remove a container, running or not, with its anonymous volumes; one that is not there is fine."""
        found = self.container(name)
        if found is None:
            return
        with translated(fine=[_ABSENT]):
            self._client.remove_container(found.id, force=True, v=True)
        # Compose hands the anonymous volumes of a container that it makes anew on by name, and Docker then
        # keeps them (tried with Compose 2.26).
        for volume in found.anonymous_volumes:
            with translated(fine=[_ABSENT]):
                self._client.remove_volume(volume)

    def logs(self, name: str, tail: int) -> str:
        """Return the last `tail` lines that a container wrote, of both its streams."""
        with translated():
            written = self._client.logs(name, stdout=True, stderr=True, tail=tail)
        return bytes(written).decode(errors="replace")

    def exec(
        self, name: str, argv: Sequence[str], *, timeout: float, environment: Mapping[str, str] | None = None
    ) -> Completed:
        """Run a program inside a running container to its end.

        A program that is given up goes on in there: it needs a deadline of its own.

        Args:
            name: of the container.
            argv: the program and its arguments; they show in the host's process list.
            timeout: seconds.
            environment: further variables, the place for a secret.

        Raises:
            DeadlinePassed: it did not end in time.
        """
        late = DeadlinePassed("exec_timeout", f"`{argv[0]}` in {name} did not end within {timeout:g} s.")
        with self._client_with(timeout) as client, translated(silence=late):
            # The SDK types the environment as a list, and takes both.
            key = client.exec_create(name, list(argv), environment=dict(environment or {}))["Id"]
            with start_exec(client, key) as response:
                stdout, stderr = split_streams(until_end(response, time.monotonic() + timeout, late))
            return Completed(client.exec_inspect(key)["ExitCode"], stdout, stderr)

    def events(self, since_ns: int, *, seconds: float = 15.0) -> Iterator[Event]:
        """Yield what happens to containers and networks, and end after `seconds`.

        It ends so that a silent engine is noticed; call it again, from the last event's `time_ns` + 1.

        Args:
            since_ns: from when on, in nanoseconds since 1970; may lie in the past.
            seconds: how long to listen.
        """
        return self._events(since_ns, self._clock() + seconds, patience=seconds + self._timeout)

    def past_events(self, since_ns: int) -> list[Event]:
        """Return what the engine remembers since then, its last 256 events at most; it waits for nothing new.

        Args:
            since_ns: from when on, in nanoseconds since 1970.
        """
        return list(self._events(since_ns, self._clock(), patience=self._timeout))

    def _events(self, since_ns: int, until: float, *, patience: float) -> Iterator[Event]:
        with self._client_with(patience) as client, translated():
            # Since whole seconds, so that the engine may send more than was meant; the SDK passes any text on.
            stream = client.events(since=since_ns // 10**9, until=f"{until:.9f}", filters=_EVENTS, decode=True)  # type: ignore[call-overload]  # typed as numbers
            for event in map(event_of, stream):
                if event.time_ns >= since_ns:
                    yield event

    @staticmethod
    def own_container(mountinfo: Path = Path("/proc/self/mountinfo")) -> str | None:
        """Return the id of the container that this process runs in; None on a plain host."""
        found = _OWN_HOSTNAME.search(mountinfo.read_text())
        return found[1] if found else None


def _last_fault(progress: Iterator[dict[str, Any]]) -> str:
    """Read a pull to its end; what went wrong in it comes as a line, not as a status."""
    faults = [line["error"] for line in progress if "error" in line]
    return faults[-1] if faults else ""
