"""What Docker's words mean."""

import pytest

from compose.faults import classify
from core.errors import AgentError, ComposeFailed, DockerUnavailable

CREATING = " Container srv_t_JohnDoe  Creating\n"
STARTING = CREATING + " Container srv_t_JohnDoe  Created\n Container srv_t_JohnDoe  Starting\n"
DAEMON = "Error response from daemon: "
NETWORK_ID = "a4bfdeb14c32d6e47b75184f7b6e8833c832e0be908dc07790b80de82049b833"

# Each was written by Compose 2.26.1 with engine 20.10.24, unless a comment says otherwise.
SAID: list[tuple[str, type[AgentError], str, str]] = [
    (DAEMON + "network srv_t_net not found\n", ComposeFailed, "network_missing", "srv_t_net"),
    (STARTING + DAEMON + f"network {NETWORK_ID} not found\n", ComposeFailed, "network_missing", "anew"),
    (  # Compose 2.27 and later
        "network satis_network declared as external, but could not be found\n",
        ComposeFailed,
        "network_missing",
        "satis_network",
    ),
    (
        'multiple networks with name "srv_t_net" were found. Use network ID as `name` to avoid ambiguity\n',
        ComposeFailed,
        "network_ambiguous",
        "srv_t_net",
    ),
    (  # the engine's own, of a start
        "network srv_t_net is ambiguous (2 matches found on name)",
        ComposeFailed,
        "network_ambiguous",
        "srv_t_net",
    ),
    (
        CREATING + DAEMON + "no such image: srv-t-nosuch:v1: No such image: srv-t-nosuch:v1\n",
        ComposeFailed,
        "image_missing",
        "docker pull srv-t-nosuch:v1`",
    ),
    (
        CREATING + DAEMON + 'Conflict. The container name "/srv_t_JohnDoe" is already in use by container '
        '"3b55b2e50b58b910c7a98b428e8c3739366ae3047dfb1cde98965e878ae93220". You have to remove (or rename) '
        "that container to be able to reuse that name.\n",
        ComposeFailed,
        "name_in_use",
        "srv_t_JohnDoe",
    ),
    (
        STARTING + DAEMON + "driver failed programming external connectivity on endpoint srv_t_JohnDoe "
        "(41a8009111a06d56965b1262427bc732100a25cc8ca445fb576e5a45b1c7cb95): "
        "Bind for 0.0.0.0:18888 failed: port is already allocated\n",
        ComposeFailed,
        "port_in_use",
        "Port 18888 ",
    ),
    (
        STARTING + DAEMON + "driver failed programming external connectivity on endpoint srv_t_JohnDoe "
        "(16925b8addc5f0e5a40eea09d53c38080b335e2de5e69d49d2120c4f4e892deb): Error starting userland proxy: "
        "listen tcp4 0.0.0.0:18888: bind: address already in use\n",
        ComposeFailed,
        "port_in_use",
        "Port 18888 ",
    ),
    (
        CREATING + DAEMON + 'invalid mount config for type "bind": bind source path does not exist: /tmp/no data\n',
        ComposeFailed,
        "data_path_missing",
        "/tmp/no data;",
    ),
    (
        CREATING + DAEMON + "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available\n",
        ComposeFailed,
        "too_many_cpus",
        "has 2 CPUs",
    ),
    (  # not tried with a full disk: the kernel's word, which Docker hands on
        CREATING + DAEMON + "mkdir /var/lib/docker/overlay2/x: no space left on device\n",
        ComposeFailed,
        "no_space",
        "disk is full",
    ),
    (
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n",
        DockerUnavailable,
        "docker_unavailable",
        "start it",
    ),
    (
        "Cannot connect to the Docker daemon at tcp://127.0.0.1:1. Is the docker daemon running?\n",
        DockerUnavailable,
        "docker_unavailable",
        "start it",
    ),
    (
        "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock\n",
        DockerUnavailable,
        "docker_forbidden",
        "/var/run/docker.sock",
    ),
    (  # Docker's command line 28.2 without the plugin
        "unknown shorthand flag: 'p' in -p\n\nUsage:  docker [OPTIONS] COMMAND [ARG...]\n",
        ComposeFailed,
        "compose_missing",
        "install Docker Compose",
    ),
    (  # the same, of `docker compose version`
        "docker: unknown command: docker compose\n\nRun 'docker --help' for more information\n",
        ComposeFailed,
        "compose_missing",
        "install Docker Compose",
    ),
    (
        "Container b7994101aabdb9fe0b0dbd9d6ef36ea18cb681d68443df1e249fc6bfb3601fab is not running",
        ComposeFailed,
        "container_not_running",
        "start the server",
    ),
]


@pytest.mark.parametrize(("text", "family", "code", "part"), SAID)
def test_known_words_become_a_sentence(text: str, family: type[AgentError], code: str, part: str) -> None:
    """Each known failure has its family, its code, and a sentence that names what it is about."""
    error = classify(text)
    assert type(error) is family
    assert error.code == code
    assert part in error.message
    assert error.message.endswith(".")
    assert "{" not in error.message


def test_unknown_words_are_handed_on() -> None:
    """What is not in the table is told in Docker's words, without the progress before it."""
    error = classify(STARTING + DAEMON + "OCI runtime create failed: exec format error\n")
    assert error.code == "compose_failed"
    assert error.message == "Docker could not do it: OCI runtime create failed: exec format error."


def test_the_daemons_word_goes_before_warnings() -> None:
    """Compose writes warnings first; the cause is what the engine said."""
    error = classify('time="2026-01-01" level=warning msg="x"\nsomething odd\n' + DAEMON + "the cause\n")
    assert error.message == "Docker could not do it: the cause."


def test_lines_on_the_environment_are_not_repeated() -> None:
    """Such a line can quote a variable's value."""
    error = classify('invalid interpolation format for services.x.environment.KEY: "hunter2"\n')
    assert "hunter2" not in error.message
    assert error.message == "Docker could not do it: it said nothing."


def test_silence_is_named() -> None:
    """A failure without a word is still a sentence."""
    assert classify("").message == "Docker could not do it: it said nothing."


def test_long_words_are_cut() -> None:
    """An error stays readable, whatever Docker writes."""
    assert len(classify("x" * 10_000).message) < 400
