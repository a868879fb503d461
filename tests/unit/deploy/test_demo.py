"""The demo's exit code, with a fake Docker in place of the image that asks the server."""

from pathlib import Path

import pytest

from tests.unit.deploy.shell import bash, fake, with_path

PARTS = ("say", "settings", "compose", "demo")
# The steps before the question have tests of their own.
BEFORE = (
    "ensure_engine api_port refuse_bad_port refuse_clashes build_agent_image build_standin_image ensure_network "
    "check_settings start_agent spawn_demo_server"
)
UP = f"""
PROJECT=satis-demo ENV_FILE=.demo.env AGENT_CONTAINER=satis-host-agent-demo
AGENT_IMAGE=agent STANDIN_IMAGE=standin
for step_before in {BEFORE}; do eval "$step_before() {{ :; }}"; done
demo_up ask
"""
WAYS = "udp answered; https answered; tcp"


@pytest.mark.parametrize(("probe", "code"), [(f"echo '{WAYS} answered'", 0), (f"echo '{WAYS} no answer'; exit 1", 1)])
def test_the_demo_succeeds_only_where_all_three_ways_answered(tmp_path: Path, probe: str, code: int) -> None:
    """The lines are shown in any case; a failure says where to look, and nothing is called working."""
    fake(tmp_path / "bin", "docker", f'echo "$*" >>calls\n{probe}')
    result = bash(UP, tmp_path, parts=PARTS, env=with_path(tmp_path / "bin"))
    assert result.returncode == code, result.stderr
    assert WAYS in result.stdout
    assert ("The demo works" in result.stdout) is (code == 0)
    assert ("not all three ways answered" in result.stderr) is (code == 1)
    asked = "run --rm --network host agent python -m satisfactory.probe 127.0.0.1 31800 31801 --within 60\n"
    assert (tmp_path / "calls").read_text() == asked


def test_a_demo_whose_server_is_not_provisioned_fails(tmp_path: Path) -> None:
    """Nothing is asked then: an older server's answers would look like success."""
    fake(tmp_path / "bin", "docker", "echo asked >>calls")
    refused = UP.replace("demo_up ask", "spawn_demo_server() { echo no port is free; return 1; }\ndemo_up ask")
    result = bash(refused, tmp_path, parts=PARTS, env=with_path(tmp_path / "bin"))
    assert result.returncode == 1
    assert "no port is free" in result.stderr
    assert "did not provision srv_demo_00000001" in result.stderr
    assert not (tmp_path / "calls").exists()
