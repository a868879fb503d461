"""What tests of several rooms need."""

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def rathole_binary() -> str:
    """Return the path of a real rathole; without one the test fails, since it would show nothing."""
    named = os.environ.get("RATHOLE_CLIENT_BINARY", "rathole")
    path = shutil.which(named)
    if path is None:
        pytest.fail(f"There is no rathole at {named!r}: set RATHOLE_CLIENT_BINARY, or call ./run-tests.sh.")
    return path
