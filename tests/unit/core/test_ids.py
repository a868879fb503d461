"""Server ids: what is one, and what would be a path, a host or a command instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidRequest
from core.ids import RESERVED, check_server_id, project_name


@pytest.mark.parametrize(
    "value",
    ["srv_42_1a2b3c4d", "srv_efand_0729cc10", "srv_JohnDoe_1a2b3c4d", "ab", "9a", "a" * 63, "a-b_c", "A_"],
)
def test_ids_of_the_field_are_accepted(value: str) -> None:
    """They come back as they were."""
    assert check_server_id(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a",
        "a" * 64,
        "../x",
        "..",
        "a/b",
        "a.b",
        "a b",
        " ab",
        "ab\n",
        "ab\0",
        "_ab",
        "-ab",
        "a@b",
        "a$b",
        "${A}",
        "ä1",
        "١٢",
        "srv:1",
        "a\u200bb",
        7,
        None,
        True,
        ["ab"],
        b"ab",
    ],
)
def test_anything_else_is_refused_in_words(value: object) -> None:
    """The sentence says what an id is, and does not repeat what came."""
    with pytest.raises(InvalidRequest, match=r"^A server id has 2 to 63 characters") as failed:
        check_server_id(value)
    assert failed.value.code == "invalid_server_id"


@pytest.mark.parametrize("value", [*RESERVED, "Host-Agent", "LOCALHOST", "vps", "VPS"])
def test_names_of_machines_are_refused(value: str) -> None:
    """Our own names and the configured ones, whatever the case."""
    with pytest.raises(InvalidRequest, match="another machine") as failed:
        check_server_id(value, reserved={"vps"})
    assert failed.value.code == "reserved_server_id"


@given(st.text())
def test_what_is_accepted_is_harmless(text: str) -> None:
    """No text that passes can leave a folder, begin an option or end a line."""
    try:
        check_server_id(text)
    except InvalidRequest:
        return
    assert text.isascii()
    assert not set(text) & set("/.\\ \n\0$:'\"")
    assert not text.startswith("-")


def test_a_project_is_in_lower_case() -> None:
    """Compose allows nothing else."""
    assert project_name("srv_JohnDoe_1A") == "srv_johndoe_1a"
