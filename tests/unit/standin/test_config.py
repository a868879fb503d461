"""What the stand-in is told from outside."""

from pathlib import Path

import pytest

from standin.config import LOCAL_ADMINISTRATOR, read_config


def test_without_an_environment_it_has_the_images_defaults() -> None:
    """Nothing set is what the default image does: ports 7777 and 8888, four players, /config."""
    config = read_config({}, [])
    assert (config.game_port, config.messaging_port, config.max_players) == (7777, 8888, 4)
    assert config.address == "::"
    assert config.directory == Path("/config")
    assert config.crash_after is None
    assert not config.local_administrator


def test_the_images_names_are_read() -> None:
    """The environment that the agent renders for the real image works here too."""
    environ = {"SERVERGAMEPORT": "30000", "SERVERMESSAGINGPORT": "30001", "MAXPLAYERS": "8"}
    config = read_config(environ, [])
    assert (config.game_port, config.messaging_port, config.max_players) == (30000, 30001, 8)


@pytest.mark.parametrize("value", ["", "abc", "-1", "7 7", "1e3"])
def test_a_number_that_is_none_becomes_the_default(value: str) -> None:
    """The image replaces such a value without a word, and so does the stand-in."""
    assert read_config({"SERVERGAMEPORT": value}, []).game_port == 7777


def test_its_own_knobs_are_seconds() -> None:
    """Start-up, loading and crash are given in seconds, with fractions."""
    environ = {
        "STANDIN_STARTUP_SECONDS": "0.5",
        "STANDIN_LOADING_SECONDS": "2",
        "STANDIN_CRASH_AFTER": "10",
    }
    config = read_config(environ | {"STANDIN_SAVE_SECONDS": "1.5"}, [])
    assert (config.startup_seconds, config.loading_seconds, config.crash_after) == (0.5, 2.0, 10.0)
    assert config.save_seconds == 1.5


def test_saves_fail_only_when_told_so() -> None:
    """One word makes every save fail."""
    assert read_config({"STANDIN_SAVE_FAILS": "true"}, []).save_fails
    assert not read_config({}, []).save_fails


def test_a_knob_that_is_no_number_is_named() -> None:
    """Who mistypes a knob of the stand-in is told which."""
    with pytest.raises(ValueError, match="STANDIN_CRASH_AFTER is 'soon'"):
        read_config({"STANDIN_CRASH_AFTER": "soon"}, [])


def test_the_command_line_opens_the_local_administrator() -> None:
    """The switch is found in the form in which the agent gives it."""
    assert read_config({}, [f"-ini:Engine:[SystemSettings]:{LOCAL_ADMINISTRATOR}"]).local_administrator
