"""`docker compose` for one server at a time, each call with a deadline."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from compose.faults import classify
from core import proc
from core.clock import utc_now
from core.errors import DockerUnavailable
from core.failpoints import Failpoint, reached
from core.ids import project_name
from core.log import get_logger

_GRACE_OF_ORPHANS = 2.0

log = get_logger("compose")


class Records(Protocol):
    """Where the child of each server stands, for a successor of this agent."""

    def record(self, server_id: str, identity: proc.ProcessIdentity, started_at: str) -> None:
        """Keep it."""

    def forget(self, server_id: str) -> None:
        """Drop it; none is fine."""

    def all(self) -> dict[str, tuple[proc.ProcessIdentity, str]]:
        """Return identity and time of start of each, by server id."""


class Compose:
    """Runs `docker compose` in a session of its own; at its deadline the whole group is killed.

    Args:
        environ: the agent's environment; of it the child sees PATH, HOME and DOCKER_* only, since Compose
            would interpolate the rest into the file.
        records: where a child is kept while it runs, since it outlives the agent's death.
        up_deadline: how long `up` may take, in seconds; nothing takes longer.
    """

    def __init__(self, environ: Mapping[str, str], records: Records, *, up_deadline: float = 120.0) -> None:
        self._env = {
            name: value for name, value in environ.items() if name in {"PATH", "HOME"} or name.startswith("DOCKER_")
        }
        self._up_deadline = up_deadline
        self._records = records

    def up(self, server_id: str, file: Path, *, recreate: bool = False) -> None:
        """Create the server's container where there is none, and start it; nothing is pulled.

        Args:
            server_id: whose container.
            file: its compose file.
            recreate: make the container anew even if it runs. It is the only remedy where the network was
                made anew under its old name: a plain `up` fails with the old id (tried with engine 20.10).

        Raises:
            ComposeFailed: the code says what was in the way.
            DockerUnavailable: the engine is away.
            DeadlinePassed: it was killed; what it did so far stands.
        """
        options = ["--force-recreate"] if recreate else []
        self._run(
            server_id,
            ["-f", str(file), "up", "--detach", "--pull", "never", *options],
            deadline=self._up_deadline,
        )
        reached(Failpoint.COMPOSE_UP)

    def await_orphan(self, server_id: str) -> bool:
        """Wait for the child of a dead agent as long as that one would have, then end it; tell whether there was one.

        To be called before the first other call for this server.
        """
        recorded = self._records.all().get(server_id)
        running = list(_children(server_id))
        if running:
            log.info("A `docker compose` of an earlier agent still runs; it is waited for.", server=server_id)
        children = {*([recorded[0]] if recorded else []), *running}
        for child in children:
            left = max(0.0, self._up_deadline - proc.age(child))
            if not proc.wait(child, left):
                log.warning(
                    "A `docker compose` of an earlier agent hangs and is ended.", server=server_id, pid=child.pid
                )
                proc.end(child, grace=_GRACE_OF_ORPHANS)
        if recorded:
            self._records.forget(server_id)
        return bool(children)

    def _run(self, server_id: str, words: list[str], *, deadline: float) -> None:
        def started(identity: proc.ProcessIdentity) -> None:
            reached(Failpoint.COMPOSE_SPAWNED)
            self._records.record(server_id, identity, utc_now())

        try:
            self._docker(["-p", project_name(server_id), *words], deadline, started)
        finally:
            self._records.forget(server_id)

    def _docker(self, words: list[str], deadline: float, started: Callable[[proc.ProcessIdentity], None]) -> None:
        argv = ["docker", "compose", *words]
        try:
            # From `/`, since a compose file in the working directory would be read where none is named.
            done = proc.run(argv, deadline=deadline, env=self._env, cwd=Path("/"), started=started)
        except FileNotFoundError as error:
            raise DockerUnavailable(
                "docker_missing", "There is no `docker` on the PATH; install Docker's command line."
            ) from error
        if done.returncode != 0:
            raise classify(done.stderr)


def _children(server_id: str) -> Iterator[proc.ProcessIdentity]:
    """Yield what runs `docker compose` for this server: Docker's own program, and the plugin that it starts."""
    words = ("compose", "-p", project_name(server_id))
    for found in proc.all_processes():
        argv = found.argv
        if words in zip(argv, argv[1:], argv[2:], strict=False):
            yield found
