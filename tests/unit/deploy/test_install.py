"""What the deploy script finds missing, and what it does about it, with fakes of apt-get and Docker."""

from pathlib import Path

import pytest

from tests.unit.deploy.shell import bash, fake

PARTS = ("say", "install")
NEEDED = ("bash", "sh", "id", "mktemp", "rm", "tail", "grep", "sleep", "mkdir", "setsid", "env", "cat", "touch")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A bare host: a PATH with nothing but the basics and an apt-get that writes down its arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        program = next(path for path in (Path("/usr/bin") / name, Path("/bin") / name) if path.exists())
        (folder / name).symlink_to(program)
    (folder / "id").unlink()
    fake(folder, "id", "echo 0")
    fake(folder, "apt-get", f'echo "$@" >>{tmp_path}/apt')
    fake(folder, "apt-cache", '[ "$2" = docker-cli ]')
    return tmp_path


def run(host: Path, snippet: str) -> tuple[int, str]:
    """Run it on that host; the exit code and all that was said."""
    result = bash(snippet, host, parts=PARTS, env={"PATH": str(host / "bin")})
    return result.returncode, result.stdout + result.stderr


def install_docker(host: Path, engine: str) -> None:
    """A Docker whose `info` does what `engine` says, and whose `compose` is there."""
    fake(host / "bin", "dockerd", f"touch {host}/engine")
    fake(host / "bin", "docker", f'case "$1" in info) {engine} ;; compose) exit 0 ;; esac')


def apt_calls(host: Path) -> str:
    """All that apt-get was asked for."""
    return (host / "apt").read_text() if (host / "apt").exists() else ""


def test_without_leave_what_is_missing_is_named_with_the_command_that_helps(host: Path) -> None:
    """Nobody at a terminal and no --install: nothing is installed."""
    code, said = run(host, "ensure_engine ask")
    assert code == 1
    assert "apt-get install --no-remove --no-install-recommends docker.io docker-cli docker-compose" in said
    assert "--install" in said
    assert apt_calls(host) == ""


def test_with_leave_it_is_installed_and_nothing_is_removed(host: Path) -> None:
    """The distribution's packages beside a foreign Docker would take that engine away, but for --no-remove."""
    fake(
        host / "bin",
        "apt-get",
        f'echo "$@" >>{host}/apt\n'
        f'[ "$1" = update ] || {{ printf "#!/bin/bash\\ntrue\\n" >{host}/bin/docker; chmod +x {host}/bin/docker; }}',
    )
    (host / "bin" / "chmod").symlink_to("/bin/chmod")
    code, said = run(host, "ensure_engine install")
    assert code == 0, said
    install = apt_calls(host).splitlines()[-1]
    assert install.startswith("install -y --no-remove")
    assert install.endswith("docker.io docker-cli docker-compose")


def test_the_clients_own_package_is_found_on_a_system_without_package_lists(host: Path) -> None:
    """A bare Debian 13 knows of docker-cli only after the first update."""
    fake(host / "bin", "apt-cache", f"[ -e {host}/apt ]")
    fake(host / "bin", "docker-compose", "")
    (host / "bin" / "chmod").symlink_to("/bin/chmod")
    fake(
        host / "bin",
        "apt-get",
        f"""echo "$@" >>{host}/apt
        put() {{ printf '#!/bin/bash\n' >{host}/bin/$1; chmod +x {host}/bin/$1; }}
        case "$*" in install*docker.io*) put dockerd ;; install*docker-cli*) put docker ;; esac""",
    )
    code, said = run(host, "ensure_engine install")
    assert code == 0, said
    installs = [line.split()[-1] for line in apt_calls(host).splitlines() if line.startswith("install")]
    assert installs == ["docker.io", "docker-cli"]


def test_a_release_without_the_clients_own_package_gets_docker_io_alone(host: Path) -> None:
    """On Debian 12 the client is a part of docker.io."""
    fake(host / "bin", "apt-cache", "exit 1")
    _, said = run(host, "ensure_engine ask")
    assert "docker.io docker-compose" in said
    assert "docker-cli" not in said


def test_only_what_is_missing_is_named(host: Path) -> None:
    """An engine that is there, from wherever it came, is left alone."""
    fake(host / "bin", "dockerd", "")
    fake(host / "bin", "docker", '[ "$1" != compose ]')
    _, said = run(host, "ensure_engine ask")
    assert "missing here: docker-compose." in said
    assert "docker.io" not in said


def test_a_complete_host_is_left_alone(host: Path) -> None:
    """Nothing is said, asked or installed."""
    install_docker(host, "exit 0")
    assert run(host, "ensure_engine ask") == (0, "")
    assert apt_calls(host) == ""


def test_the_old_compose_suffices(host: Path) -> None:
    """`docker-compose` 1.29.2 is as good as the plugin."""
    fake(host / "bin", "dockerd", "")
    fake(host / "bin", "docker", '[ "$1" != compose ]')
    fake(host / "bin", "docker-compose", "")
    assert run(host, "ensure_engine ask") == (0, "")


def test_an_engine_that_does_not_run_is_started_with_leave_only(host: Path) -> None:
    """Without --install the command that helps is named; with it the engine is started and waited for."""
    install_docker(host, f"[ -e {host}/engine ]")
    code, said = run(host, "ensure_engine ask")
    assert code == 1
    assert "does not run" in said
    # Whatever this machine's own init is, the fake engine is started by the fake of it.
    fake(host / "bin", "systemctl", f"touch {host}/engine")
    code, said = run(host, f"as_root() {{ touch {host}/engine; }}; ensure_engine install")
    assert code == 0, said


def test_a_user_without_leave_to_use_docker_is_told_so(host: Path) -> None:
    """The engine runs; starting it again would not help."""
    install_docker(host, "echo 'permission denied while trying to connect' >&2; exit 1")
    code, said = run(host, "ensure_engine install")
    assert code == 1
    assert "may not use Docker" in said


def test_a_failing_installation_ends_in_a_sentence(host: Path) -> None:
    """What apt-get said stands above it."""
    fake(host / "bin", "apt-get", "echo 'E: Packages need to be removed but remove is disabled.'; exit 100")
    code, said = run(host, "ensure_engine install")
    assert code == 1
    assert "E: Packages need to be removed" in said
    assert "Nothing was removed" in said


def test_another_distribution_is_told_what_it_needs(host: Path) -> None:
    """Where there is no apt-get, the names are all that can be said."""
    (host / "bin" / "apt-get").unlink()
    code, said = run(host, "ensure_commands install mmdebstrap:mmdebstrap")
    assert code == 1
    assert "mmdebstrap" in said


def test_commands_that_are_there_are_not_installed(host: Path) -> None:
    """Only packages of missing commands are asked for."""
    code, said = run(host, "ensure_commands install sh:dash nothing-of-the-sort:some-package")
    assert code == 0, said
    assert apt_calls(host).splitlines()[-1].endswith("--no-install-recommends some-package")
