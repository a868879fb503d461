"""A Docker engine in a container: its own dockerd, containerd, networks and images."""

from pathlib import Path

from tests.e2e.walk.deployment import ROOT, run
from tests.waiting import wait_until

IMAGE = "satis-engine:latest"
# Not --privileged: a host may lack CAP_SYS_RESOURCE, and Docker then refuses that.
_RIGHTS = [
    *["--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"],
    *["--security-opt", "seccomp=unconfined"],
    *["--security-opt", "apparmor=unconfined"],
    *["--security-opt", "systempaths=unconfined"],
    *["--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw"],
    *["--volume", "/var/lib/docker"],
]


class NestedEngine:
    """One engine; its socket is in a folder that is the same inside and outside.

    Args:
        name: of its container.
        shared: a folder of this host, at the same path inside.
        options: more words for `docker run`.
    """

    def __init__(self, name: str, shared: Path, *options: str) -> None:
        self.name = name
        self._shared = shared
        self.socket = f"unix://{shared}/docker.sock"
        self._options = ["--volume", f"{shared}:{shared}", *options]
        self.words: tuple[str, ...] = ()

    def up(self, *words: str) -> None:
        """Make the container, and start the engine in it.

        Args:
            words: for dockerd, at this and every later start.
        """
        self.words = words
        common = ["--name", self.name, "--hostname", self.name]
        run("docker", "run", "--detach", *common, *_RIGHTS, "--volume", f"{ROOT}:{ROOT}:ro", *self._options, IMAGE)
        self.start()

    def down(self) -> None:
        """Remove it with all that is in it."""
        run("docker", "rm", "--force", "--volumes", self.name, check=False)

    def gateway(self) -> str:
        """Return the address of this machine, as seen from inside."""
        template = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}"
        return run("docker", "inspect", "--format", template, self.name).strip()

    def inside(self, *argv: str, check: bool = True) -> str:
        """Run a program beside the engine; return what it printed."""
        return run("docker", "exec", self.name, *argv, check=check)

    def docker(self, *words: str, check: bool = True) -> str:
        """Call the engine; return what its client printed, without the last newline."""
        return self.inside("docker", "--host", self.socket, *words, check=check).strip()

    def load(self, image: str) -> None:
        """Bring an image of this machine's engine in."""
        archive = str(self._shared / "image.tar")
        run("docker", "save", "--output", archive, image)
        self.docker("load", "--input", archive)
        self.inside("rm", archive)

    def answers(self) -> bool:
        """Whether it does its work."""
        return bool(self.docker("version", "--format", "{{.Server.Version}}", check=False))

    def runs(self) -> bool:
        """Whether there is a dockerd, be it frozen."""
        return bool(self.inside("pgrep", "--exact", "dockerd", check=False))

    def restart(self, *words: str) -> None:
        """Stop dockerd in order and start it with other words."""
        self.stop()
        self.words = words
        self.start()

    def start(self) -> None:
        """Start dockerd, as the host's service manager does, and wait until it answers."""
        # What a killed one leaves: the number in it may be another process's by now.
        self.inside("rm", "-f", "/var/run/docker.pid")
        words = " ".join(["dockerd", "--host", self.socket, *self.words])
        run("docker", "exec", "--detach", self.name, "sh", "-c", f"exec {words} >>/var/log/dockerd.log 2>&1")
        wait_until(self.answers, within=30, saying=f"the engine answers; its log: {self.log()}", every=0.1)

    def stop(self) -> None:
        """Stop dockerd in order, and wait for its end."""
        self._signal("TERM")
        self._wait_for_its_end()

    def kill(self) -> None:
        """Kill dockerd with -9; what it started stays for now."""
        self._signal("KILL")
        self._wait_for_its_end()

    def freeze(self) -> None:
        """Let dockerd hang: it takes connections and never answers."""
        self._signal("STOP")

    def thaw(self) -> None:
        """Let it go on."""
        self._signal("CONT")

    def log(self) -> str:
        """Return the end of dockerd's log."""
        return self.inside("tail", "--lines", "15", "/var/log/dockerd.log", check=False)

    def _signal(self, name: str) -> None:
        self.inside("pkill", f"-{name}", "--exact", "dockerd")

    def _wait_for_its_end(self) -> None:
        wait_until(lambda: not self.runs(), within=30, saying="dockerd has ended", every=0.1)
