"""The HTTPS API's envelope and who counts as local, without a socket."""

import pytest

from standin.functions import RefusedError
from standin.https import is_loopback, read_call


def test_keys_begin_in_either_case() -> None:
    """Clients in the wild send both, and the game takes both."""
    for body in (
        b'{"function": "SaveGame", "data": {"saveName": "x"}}',
        b'{"Function": "SaveGame", "Data": {"SaveName": "x"}}',
    ):
        call = read_call(body)
        assert (call.function, call.data) == ("SaveGame", {"saveName": "x"})


def test_data_may_be_left_out() -> None:
    """A function without parameters needs no data."""
    assert read_call(b'{"function": "Shutdown"}').data == {}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"3", b"{}", b'{"function": "x", "data": 3}', b"\xff"])
def test_what_is_no_envelope_is_400(body: bytes) -> None:
    """A body that cannot be read is refused in the game's form."""
    with pytest.raises(RefusedError) as refused:
        read_call(body)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("172.17.0.1", False),
        ("::ffff:172.17.0.1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_only_loopback_is_local(address: str, local: bool) -> None:  # noqa: FBT001 - a table's column
    """A container's neighbours are not local, however their address is written."""
    assert is_loopback(address) is local
