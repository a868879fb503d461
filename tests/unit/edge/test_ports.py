"""Ports: who gets which, and why not."""

import socket
from collections.abc import Callable

import pytest

from core.errors import AgentError, Conflict, InvalidRequest, ManagerFailed
from edge.ports import TCP, UDP, check_public_ports, choose_control_port, is_free

ALLOWED = range(30000, 30010)


def _all_but(*held: tuple[int, socket.SocketKind]) -> Callable[[int, socket.SocketKind], bool]:
    return lambda port, kind: (port, kind) not in held


def test_free_published_ports_are_granted() -> None:
    """Both ends of the range can be had."""
    check_public_ports(30000, 30009, allowed=ALLOWED, taken={}, free=_all_but())


@pytest.mark.parametrize(
    ("game", "query", "kind", "word"),
    [
        (30001, 30001, InvalidRequest, "two ports"),
        (29999, 30001, InvalidRequest, "Port 29999 is outside 30000-30009"),
        (30001, 30010, InvalidRequest, "Port 30010 is outside 30000-30009"),
        (30005, 30001, Conflict, "Port 30005 is in use by instance srv_b"),
        (30001, 30005, Conflict, "Port 30005 is in use by instance srv_b"),
        (30007, 30001, Conflict, "Port 30007 is held by another program"),
        (30001, 30007, Conflict, "Port 30007 is held by another program"),
        (30008, 30001, Conflict, "Port 30008 is held by another program"),
    ],
)
def test_refusals_say_why(game: int, query: int, kind: type[AgentError], word: str) -> None:
    """Each refusal names the port and what stands against it."""
    with pytest.raises(kind, match=word):
        check_public_ports(
            game,
            query,
            allowed=ALLOWED,
            taken={30005: "srv_b"},
            free=_all_but((30007, TCP), (30008, UDP)),
        )


def test_a_query_port_needs_no_udp() -> None:
    """Another program's UDP port does not stand against a query port, which is TCP only."""
    check_public_ports(30001, 30008, allowed=ALLOWED, taken={}, free=_all_but((30008, UDP)))


def test_the_lowest_free_control_port_is_chosen() -> None:
    """Ports of instances and of other programs are passed over."""
    control = choose_control_port(range(20000, 20004), {20000}, free=_all_but((20001, TCP)))
    assert control == 20002


def test_no_control_port_left() -> None:
    """The sentence names the setting that helps."""
    with pytest.raises(ManagerFailed, match=r"All 2 control ports are in use; .* EDGE_CONTROL_PORTS"):
        choose_control_port(range(20000, 20002), {20000, 20001}, free=_all_but())


@pytest.mark.parametrize("kind", [TCP, UDP])
def test_a_held_port_is_not_free(kind: socket.SocketKind) -> None:
    """What another socket holds is seen, and free again once it is closed."""
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", 0))
        if kind == TCP:
            holder.listen()
        port = holder.getsockname()[1]
        assert not is_free(port, kind)
    assert is_free(port, kind)
