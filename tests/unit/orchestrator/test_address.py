"""Which address is registered."""

import socket

import pytest

from orchestrator.address import own_address, route_source
from orchestrator.errors import OrchestratorFailed
from tests.unit.orchestrator.conftest import MakeSettings


def from_route(host: str, port: int) -> str:
    """Stand in for the kernel's choice."""
    return f"route-to-{host}-{port}"


def test_the_host_name_comes_first(make_settings: MakeSettings) -> None:
    """On one Docker network the name is what works, whatever else is set."""
    settings = make_settings(USE_HOSTNAME_REGISTRATION="true", ADVERTISE_ADDRESS="192.0.2.1")
    assert own_address(settings, hostname=lambda: "host-agent", source=from_route).text == "host-agent"


def test_the_operators_address_comes_next(make_settings: MakeSettings) -> None:
    """An address that is set is taken as it is, without a warning in a container."""
    address = own_address(make_settings(ADVERTISE_ADDRESS="192.0.2.1"), source=from_route, contained=lambda: True)
    assert (address.text, address.warning) == ("192.0.2.1", None)


def test_else_it_is_that_of_the_route(make_settings: MakeSettings) -> None:
    """On a plain host the route's address is right, and nothing is to be warned of."""
    settings = make_settings(ORCHESTRATOR_HOST="orch", ORCHESTRATOR_PORT="99")
    address = own_address(settings, source=from_route, contained=lambda: False)
    assert (address.text, address.warning) == ("route-to-orch-99", None)


def test_a_containers_own_address_is_warned_of(make_settings: MakeSettings) -> None:
    """The warning names the address and the setting that helps."""
    address = own_address(make_settings(), source=lambda _host, _port: "172.18.0.2", contained=lambda: True)
    assert address.text == "172.18.0.2"
    assert address.warning is not None
    assert "172.18.0.2" in address.warning
    assert "ADVERTISE_ADDRESS" in address.warning


def test_no_route_is_said(make_settings: MakeSettings) -> None:
    """A name that does not resolve ends in a sentence that names it."""

    def lost(_host: str, _port: int) -> str:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(OrchestratorFailed, match="orch: Name or service not known") as failed:
        own_address(make_settings(ORCHESTRATOR_HOST="orch"), source=lost)
    assert not failed.value.permanent


@pytest.mark.parametrize(("target", "own"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1")])
def test_the_kernel_knows_the_route(target: str, own: str) -> None:
    """The real socket gives the address by which the target is reached, without a listener there."""
    assert route_source(target, 9) in {own, "::1"}


@pytest.mark.parametrize("name", ["x" * 70, "no..name"])
def test_a_name_that_is_none_has_no_route(name: str) -> None:
    """Text that cannot be a host name is the same fault as one that does not resolve."""
    with pytest.raises(OSError, match=name[:10]):
        route_source(name, 9)


def test_the_kernel_knows_the_route_of_ipv6(own_ipv6: str) -> None:
    """Brackets around the address are those of a URL."""
    assert route_source(f"[{own_ipv6}]", 9) == own_ipv6


@pytest.fixture
def own_ipv6() -> str:
    """Return this machine's IPv6 loopback, where it has IPv6."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as route:
        try:
            route.bind(("::1", 0))
        except OSError:
            pytest.skip("This machine has no IPv6, so there is no such route to ask for.")
    return "::1"
