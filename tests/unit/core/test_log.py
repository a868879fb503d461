"""The log: a line an event on stderr, with no secret in it."""

import subprocess
import sys

import pytest

SETUP = """
import logging
from pydantic import SecretStr
from core.log import configure_logging, get_logger
configure_logging()
log = get_logger("test")
"""


def said(code: str) -> str:
    """Run code in a process whose log is set up as the agent's; return what it logged."""
    run = [sys.executable, "-W", "error", "-c", SETUP + code]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == ""
    return done.stderr


def test_an_event_is_a_line() -> None:
    """Time in UTC, level, sentence and facts."""
    (line,) = said("log.info('It began.', server='srv_a', count=3)").splitlines()
    assert line[:2] == "20"
    assert "Z" in line
    for part in ("info", "It began.", "server=srv_a", "count=3"):
        assert part in line


def test_nothing_below_info_is_said() -> None:
    """Neither ours nor a library's."""
    assert said("log.debug('x'); logging.getLogger('other').debug('y')") == ""


@pytest.mark.parametrize("library", ["urllib3.connectionpool", "docker.api", "requests"])
def test_what_may_hold_a_token_is_left_out(library: str) -> None:
    """These libraries name whole URLs in their warnings."""
    code = f"logging.getLogger({library!r}).warning('http://x/?token=marked')"
    assert said(code) == ""


def test_a_library_speaks_in_our_form() -> None:
    """Warnings of others come through, once."""
    (line,) = said("logging.getLogger('gunicorn.error').warning('worker %s ended', 7)").splitlines()
    assert "warning" in line
    assert "worker 7 ended" in line


def test_no_secret_is_in_a_line() -> None:
    """A key, a settings object and a request are masked wherever they stand."""
    code = """
from core.settings import load_settings
from core.models import ServerSpec
settings = load_settings({"HOST_AGENT_API_KEY": "marked-key-0123456789", "RATHOLE_TOKEN": "marked-token"})
spec = ServerSpec(server_id="srv_a", server_name="n", game_port=30000, beacon_port=30001, server_password="marked")
log.info("a", settings=settings, spec=spec, secret=SecretStr("marked"), deep={"x": [SecretStr("marked")]})
log.info(f"b {settings} {spec}")
"""
    text = said(code)
    assert "srv_a" in text
    assert "marked" not in text


def test_an_exception_is_told_without_the_values_around_it() -> None:
    """The traceback is there, with its cause; local variables, which may be secrets, are not."""
    code = """
def fail():
    token = "-".join(["marked", "token"])
    raise ValueError("wrong")
try:
    fail()
except ValueError:
    log.exception("It failed.", server="srv_a")
"""
    text = said(code)
    assert "It failed." in text
    assert "ValueError: wrong" in text
    assert "Traceback" in text
    assert "Logging error" not in text
    assert "marked-token" not in text
