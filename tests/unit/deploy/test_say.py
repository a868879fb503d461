"""How a step is reported."""

import os
import signal
import subprocess
from pathlib import Path

from tests.unit.deploy.shell import SCRIPTS, at_terminal, bash

PARTS = ("say",)


def test_a_step_says_what_it_does_and_keeps_its_output_back(tmp_path: Path) -> None:
    """A line before, and not the chatter of what was run."""
    result = bash("step 'Making tea' echo chatter", tmp_path, parts=PARTS)
    assert result.stdout == "Making tea ...\n"


def test_a_long_step_says_how_long_it_took(tmp_path: Path) -> None:
    """From two seconds on."""
    result = bash("later() { SECONDS=$((SECONDS + 3)); }; step 'Making tea' later", tmp_path, parts=PARTS)
    assert result.stdout.splitlines()[-1] == "Making tea: done (3 s)"


def test_a_failed_step_shows_the_end_of_the_output_and_passes_the_code_on(tmp_path: Path) -> None:
    """The reason stands on the screen, and all of it in a file that is named."""
    result = bash("step 'Making tea' bash -c 'seq 100; echo no water >&2; exit 7'", tmp_path, parts=PARTS)
    assert result.returncode == 7
    assert "no water" in result.stderr
    assert "\n50\n" not in result.stderr
    log = Path(result.stderr.split()[-1])
    assert log.name.startswith("satis-deploy.")
    assert "\n50\n" in log.read_text()
    log.unlink()


def test_a_step_may_set_variables_of_the_script(tmp_path: Path) -> None:
    """It runs in the script's own shell, so Ctrl-C reaches it, too."""
    result = bash('set_it() { X=1; }; step "Setting" set_it; echo "X is $X"', tmp_path, parts=PARTS)
    assert "X is 1" in result.stdout


def test_percent_is_read_from_either_builders_log(tmp_path: Path) -> None:
    """The old builder counts steps of all, BuildKit those of a stage."""
    log = tmp_path / "log"
    for text, percent in (("Step 9/36 : RUN x\n", " 25 %"), ("#7 [venv 3/6] RUN x\n", " 50 %"), ("quiet\n", "")):
        log.write_text(text)
        assert bash(f"percent_of {log}", tmp_path, parts=PARTS).stdout == percent


def test_fail_is_a_sentence_on_stderr(tmp_path: Path) -> None:
    """And the end of the script."""
    result = bash("fail the kettle is cold; echo went on", tmp_path, parts=PARTS)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "Error: the kettle is cold\n")


def test_without_a_terminal_nothing_is_confirmed(tmp_path: Path) -> None:
    """A pipe full of yes is not somebody who says yes."""
    result = bash("confirm 'Install?' || echo no", tmp_path, parts=PARTS, stdin="y\n")
    assert result.stdout == "no\n"


def test_on_a_terminal_a_step_turns_a_spinner_with_percent(tmp_path: Path) -> None:
    """Somebody who waits sees that something goes on, how far it is, and one line at the end."""
    screen = at_terminal("step 'Making tea' sh -c 'echo Step 1/4; sleep 0.6'", tmp_path, typed="", parts=PARTS)
    assert "Making tea 25 %" in screen
    assert screen.rstrip().endswith("Making tea: done (0 s)") or screen.rstrip().endswith("Making tea: done (1 s)")


def test_the_spinner_ends_with_the_script(tmp_path: Path) -> None:
    """A script that is killed leaves nothing turning on the terminal: its last user goes, and the read ends."""
    screen = at_terminal("step 'Making tea' sh -c 'sleep 0.4; kill -9 $PPID'", tmp_path, typed="", parts=PARTS)
    assert "done" not in screen


def test_an_interrupted_step_has_not_failed(tmp_path: Path) -> None:
    """Ctrl-C reaches the whole group, and Compose ends with 1 by it: the script ends too, and looks for no reason."""
    command = """bash -c 'trap "exit 1" INT; while :; do sleep 0.1; done'"""
    script = f"source {SCRIPTS}/say.sh; step 'Making tea' {command} || fail 'the reason stands above'"
    with subprocess.Popen(
        # Who runs the tests in the background ignores the signal, and hands that on.
        ["/usr/bin/env", "--default-signal=INT", "/bin/bash", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "Making tea ...\n"
        os.killpg(process.pid, signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert "Interrupted" in said
    assert "reason" not in said
