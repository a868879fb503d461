"""`docker compose` for one server at a time, each call with a deadline."""

from collections.abc import Callable, Mapping
from pathlib import Path

from compose.faults import classify
from core import proc
from core.errors import DockerUnavailable
from core.ids import project_name

_SLACK = 30.0
_VERSION_DEADLINE = 10.0

Started = Callable[[str, proc.ProcessIdentity], None]


class Compose:
    """Runs `docker compose` in a session of its own; at its deadline the whole group is killed.

    Args:
        environ: the agent's environment; of it the child sees PATH, HOME and DOCKER_* only, since Compose
            would interpolate the rest into the file.
        up_deadline: how long `up` may take, in seconds.
        started: told the server's id and the child's identity before the child is waited for, so that a
            successor of this agent can find a child that outlived it.
    """

    def __init__(
        self, environ: Mapping[str, str], *, up_deadline: float = 120.0, started: Started | None = None
    ) -> None:
        self._env = {
            name: value for name, value in environ.items() if name in {"PATH", "HOME"} or name.startswith("DOCKER_")
        }
        self._up_deadline = up_deadline
        self._started = started

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

    def stop(self, server_id: str, grace: float) -> None:
        """Stop the server's container; one that is stopped, or not there, is fine.

        The file is not needed: Compose finds the container by the labels it gave it (tried with 2.26).

        Args:
            server_id: whose container.
            grace: seconds between the stop signal and the kill.

        Raises:
            ComposeFailed, DockerUnavailable, DeadlinePassed: as for `up`.
        """
        self._run(server_id, ["stop", "--timeout", f"{grace:.0f}"], deadline=grace + _SLACK)

    def version(self) -> str:
        """Return the version of Compose, e.g. `2.26.1-4`.

        Raises:
            ComposeFailed: it is not installed.
            DockerUnavailable: `docker` itself is not.
        """
        return self._docker(["version", "--short"], deadline=_VERSION_DEADLINE).strip()

    def _run(self, server_id: str, words: list[str], *, deadline: float) -> None:
        def started(identity: proc.ProcessIdentity) -> None:
            if self._started:
                self._started(server_id, identity)

        self._docker(["-p", project_name(server_id), *words], deadline=deadline, started=started)

    def _docker(
        self,
        words: list[str],
        *,
        deadline: float,
        started: Callable[[proc.ProcessIdentity], None] | None = None,
    ) -> str:
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
        return done.stdout
