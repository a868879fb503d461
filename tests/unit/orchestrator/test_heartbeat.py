"""The heartbeat against an orchestrator that is real HTTP, on a clock that the test moves."""

from collections.abc import Callable, Mapping

import pytest
from structlog.testing import capture_logs

from orchestrator.address import Address
from orchestrator.client import OrchestratorClient
from orchestrator.errors import OrchestratorFailed
from orchestrator.heartbeat import Heartbeat
from orchestrator.schedule import Schedule
from tests.fakes.orchestrator import FakeOrchestrator, Fault
from tests.unit.orchestrator.conftest import MakeSettings


class Driver:
    """Drives a heartbeat as its thread does, without the waiting.

    Attributes:
        now: the time that the heartbeat sees.
        address: what it registers.
        looked: every server was looked at.
    """

    def __init__(self, make_settings: MakeSettings, fake: FakeOrchestrator) -> None:
        settings = make_settings(fake, HEARTBEAT_TIMEOUT="0.3")
        self.now = 0.0
        self.address: Callable[[], Address] = lambda: Address("192.0.2.9")
        self.looked = True
        self._heartbeat = Heartbeat(
            OrchestratorClient(settings),
            Schedule(settings, 0.0, random=lambda: 0.5),
            address=self._address,
            stats=self._stats,
            looked=lambda: self.looked,
            clock=lambda: self.now,
        )

    def _address(self) -> Address:
        return self.address()

    def _stats(self) -> Mapping[str, object]:
        return {"cpuUsage": 1.0, "memoryUsage": 2.0, "diskUsage": 3.0}

    def step(self) -> float:
        """Take one step; the time does not move."""
        return self._heartbeat.step()

    def run_for(self, seconds: float) -> None:
        """Take steps, and let time pass between them, until so many seconds are over."""
        end = self.now + seconds
        while self.now < end:
            self.now += self.step()
        self.now = end


@pytest.fixture
def driver(make_settings: MakeSettings, orchestrator: FakeOrchestrator) -> Driver:
    """Return a driven heartbeat of an orchestrator that is well."""
    return Driver(make_settings, orchestrator)


def test_the_first_step_registers_and_beats(driver: Driver, orchestrator: FakeOrchestrator) -> None:
    """One step makes the node known, and the next is an interval away."""
    assert driver.step() == 60.0
    assert orchestrator.nodes["node-a"]["ipAddress"] == "192.0.2.9"
    assert len(orchestrator.heartbeats) == 1


def test_a_step_too_early_does_nothing(driver: Driver, orchestrator: FakeOrchestrator) -> None:
    """Waking the loop up sends no more than is due."""
    driver.step()
    driver.now = 10.0
    assert driver.step() == 50.0
    assert len(orchestrator.requests) == 2


def test_the_first_heartbeat_waits_for_the_first_looks(driver: Driver, orchestrator: FakeOrchestrator) -> None:
    """The node is known meanwhile; before that it would tell of running games as gone, for a whole interval."""
    driver.looked = False
    driver.run_for(2)
    assert "node-a" in orchestrator.nodes
    assert orchestrator.heartbeats == []
    driver.looked = True
    driver.run_for(0.2)
    assert len(orchestrator.heartbeats) == 1


def test_the_first_looks_are_not_waited_for_without_end(driver: Driver, orchestrator: FakeOrchestrator) -> None:
    """Docker may be away, and later a server may be so new that nobody has looked at it."""
    driver.looked = False
    driver.run_for(6)
    assert len(orchestrator.heartbeats) == 1
    driver.run_for(60)
    assert len(orchestrator.heartbeats) == 2


def test_a_server_that_is_new_is_not_waited_for(driver: Driver, orchestrator: FakeOrchestrator) -> None:
    """Only what ran before the agent's start was told of as running."""
    driver.step()
    driver.looked = False
    assert driver.step() == 60.0
    driver.now = 60.0
    driver.step()
    assert len(orchestrator.heartbeats) == 2


def test_a_minute_is_a_heartbeat(driver: Driver, orchestrator: FakeOrchestrator) -> None:
    """Ten minutes are ten heartbeats and the first registration."""
    driver.run_for(599)
    assert len(orchestrator.heartbeats) == 10
    assert orchestrator.requests.count("POST /api/nodes/register") == 1


def test_a_lost_database_is_filled_again(driver: Driver, orchestrator: FakeOrchestrator) -> None:
    """The orchestrator that forgot the node, and says 200 all the same, knows it again within REGISTER_INTERVAL."""
    driver.step()
    orchestrator.nodes.clear()
    driver.run_for(661)
    assert "node-a" in orchestrator.nodes
    assert len(orchestrator.heartbeats) >= 2


def test_an_orchestrator_that_comes_later_is_found(driver: Driver, orchestrator: FakeOrchestrator) -> None:
    """One that is away at start is asked again, until it is there."""
    orchestrator.stop()
    driver.run_for(30)
    orchestrator.start()
    driver.run_for(61)
    assert len(orchestrator.heartbeats) >= 1


def test_an_outage_ends_in_a_registration(driver: Driver, orchestrator: FakeOrchestrator) -> None:
    """After three failures the node registers anew, since the orchestrator may have come back empty."""
    driver.step()
    orchestrator.stop()
    driver.run_for(239)
    orchestrator.nodes.clear()
    orchestrator.start()
    driver.run_for(61)
    assert "node-a" in orchestrator.nodes


@pytest.mark.parametrize("fault", ["500", "400", "html", "garbage", "redirect", "slow", "reset"])
def test_every_fault_is_outlived(driver: Driver, orchestrator: FakeOrchestrator, fault: Fault) -> None:
    """Whatever the orchestrator does, nothing is raised, it is not called in a tight loop, and it is found again."""
    driver.step()
    orchestrator.fault = fault
    driver.run_for(200)
    assert len(orchestrator.requests) < 20
    orchestrator.fault = None
    before = len(orchestrator.heartbeats)
    driver.run_for(61)
    assert len(orchestrator.heartbeats) > before


def test_an_address_that_changed_is_registered(driver: Driver, orchestrator: FakeOrchestrator) -> None:
    """It is looked up for each registration."""
    driver.step()
    driver.address = lambda: Address("192.0.2.77")
    driver.run_for(661)
    assert orchestrator.nodes["node-a"]["ipAddress"] == "192.0.2.77"


def test_no_route_is_a_failed_registration(driver: Driver, orchestrator: FakeOrchestrator) -> None:
    """A node without a network waits for it, and registers then."""

    def lost() -> Address:
        raise OrchestratorFailed("orchestrator_unreachable", "There is no way.")

    driver.address = lost
    assert driver.step() == 1.0
    driver.address = lambda: Address("192.0.2.9")
    driver.run_for(2)
    assert "node-a" in orchestrator.nodes


def test_the_log_says_what_changed_and_no_more(driver: Driver, orchestrator: FakeOrchestrator) -> None:
    """An hour of health, an hour of outage and an hour of health are a handful of lines."""
    with capture_logs() as logs:
        driver.run_for(3600)
        orchestrator.fault = "500"
        driver.run_for(3600)
        orchestrator.fault = None
        driver.run_for(3600)
    assert sorted(str(entry.get("what")) for entry in logs) == ["None"] * 4 + ["heartbeat", "registration"]
    assert logs[0]["event"] == "This node is registered at the orchestrator."
    assert logs[0]["address"] == "192.0.2.9"


def test_a_warning_of_the_address_is_said_once(driver: Driver) -> None:
    """A bridge's address is warned of when it is registered, not each time."""
    driver.address = lambda: Address("172.18.0.2", "Set ADVERTISE_ADDRESS.")
    with capture_logs() as logs:
        driver.run_for(3600)
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["Set ADVERTISE_ADDRESS."]
