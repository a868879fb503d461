"""The face on a fake inside."""

import pytest

from tests.fakes.face import Face, make_face


@pytest.fixture
def face() -> Face:
    """An API with an empty, well-behaved inside."""
    return make_face()
