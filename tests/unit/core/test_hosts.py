"""Host names: what can be one, in whatever way it comes in."""

import pytest
from pydantic import TypeAdapter, ValidationError

from core.hosts import HostName, is_host_name

NAMES = ["vps.example.org", "203.0.113.9", "rathole-instance-manager", "satis_edge", "A", "a" * 253]
OTHERS = [
    "",
    ".",
    "-a",
    "_a",
    "two words",
    "vps:7001",
    "http://vps",
    "vps/manager",
    "vps\n",
    "[::1]",
    "ümlaut",
    "a" * 254,
]


@pytest.mark.parametrize(("text", "usable"), [*((name, True) for name in NAMES), *((other, False) for other in OTHERS)])
def test_one_rule_for_fields_and_for_parts_of_an_address(text: str, *, usable: bool) -> None:
    """Names of DNS and of Docker and IPv4 addresses are; whatever could hold more than a host is not."""
    assert is_host_name(text) is usable
    try:
        TypeAdapter(HostName).validate_python(text)
        assert usable
    except ValidationError:
        assert not usable
