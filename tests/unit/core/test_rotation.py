"""A log is kept within bounds."""

import stat
from pathlib import Path

from core.rotation import copy_aside, rotated


def test_a_log_is_kept_aside_for_us_alone(tmp_path: Path) -> None:
    """In place of the older one; the log itself is for the caller to empty."""
    log = tmp_path / "some.log"
    for text in ("a long older line\n", "new\n"):
        log.write_text(text)
        log.chmod(0o644)
        copy_aside(log)
    assert (rotated(log).read_text(), stat.S_IMODE(rotated(log).stat().st_mode)) == ("new\n", 0o600)
    assert log.read_text() == "new\n"
