"""When a tunnel that says it is up is begun anew, and when that is given up."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from provisioning.watchdog import BOUNCES, Path, Target, Verdict, Watchdog, bounced, heard, judge, unheard

ID = "srv_a_00000001"
TARGET = Target(("vps.example", "192.0.2.7"), 30000)
PATIENCE = 30.0


class Stage:
    """A watchdog with a clock and a network that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.answering = {"vps.example"}
        self.asked: list[tuple[str, int]] = []
        self.changed: list[str] = []
        self.dog = Watchdog(PATIENCE, clock=lambda: self.now, changed=self.changed.append, ask=self._ask)

    def _ask(self, host: str, port: int) -> bool:
        self.asked.append((host, port))
        return host in self.answering

    def after(self, seconds: float) -> Verdict:
        """Let time pass, ask, and return what is thought then."""
        self.now += seconds
        self.dog.step()
        return self.dog.watch(ID, TARGET)

    def until_bounce(self) -> None:
        """Let time pass until the tunnel is to be begun anew, and do so."""
        assert self.after(1) is Verdict.FINE
        assert self.after(PATIENCE) is Verdict.BOUNCE
        self.dog.bounced(ID)


def test_a_path_that_answers_is_fine() -> None:
    """It is asked for at the first host that is known, and nobody is troubled."""
    stage = Stage()
    stage.dog.watch(ID, TARGET)
    assert stage.after(PATIENCE) is Verdict.FINE
    assert stage.asked == [("vps.example", 30000)]


def test_one_host_that_answers_will_do() -> None:
    """The VPS's public name may not lead there from here."""
    stage = Stage()
    stage.answering = {"192.0.2.7"}
    stage.dog.watch(ID, TARGET)
    assert [stage.after(PATIENCE) for _ in range(4)] == [Verdict.FINE] * 4


def test_silence_is_no_fault_before_its_time() -> None:
    """A lost datagram, or a few, cost no player a thing."""
    stage = Stage()
    stage.dog.watch(ID, TARGET)
    stage.answering = set()
    assert stage.after(1) is Verdict.FINE
    assert stage.after(PATIENCE - 1) is Verdict.FINE
    stage.answering = {"vps.example"}
    stage.after(0)
    stage.answering = set()
    assert stage.after(1) is Verdict.FINE
    assert stage.after(PATIENCE - 1) is Verdict.FINE


def test_three_bounces_and_then_it_is_said() -> None:
    """After the third the path is given up, and the server's keeper is told."""
    stage = Stage()
    stage.dog.watch(ID, TARGET)
    stage.after(0)
    stage.answering = set()
    for _ in range(3):
        stage.until_bounce()
    stage.changed.clear()
    assert stage.after(1) is Verdict.FINE
    assert stage.after(PATIENCE) is Verdict.FAILED
    assert stage.changed == [ID]
    stage.answering = {"vps.example"}
    assert stage.after(1) is Verdict.FINE
    assert stage.changed == [ID, ID]


def test_a_path_that_once_worked_is_tried_again_after_ten_minutes() -> None:
    """Someone may have mended the VPS."""
    stage = Stage()
    stage.dog.watch(ID, TARGET)
    stage.after(0)
    stage.answering = set()
    for _ in range(3):
        stage.until_bounce()
    assert stage.after(BOUNCES.window) is Verdict.BOUNCE


def test_a_path_that_never_answered_is_not_bounced_for_ever() -> None:
    """It may be that we cannot reach the address and players can: three times they are troubled, no more."""
    stage = Stage()
    stage.answering = set()
    stage.dog.watch(ID, TARGET)
    for _ in range(3):
        stage.until_bounce()
    assert stage.after(BOUNCES.window * 5) is Verdict.FAILED


def test_nothing_is_asked_where_nothing_can_answer() -> None:
    """While the game or its tunnel is down there is no target, and the silence before does not count after."""
    stage = Stage()
    stage.answering = set()
    stage.dog.watch(ID, TARGET)
    stage.after(0)
    assert stage.dog.watch(ID, None) is Verdict.FINE
    stage.asked.clear()
    stage.now += PATIENCE
    stage.dog.step()
    assert not stage.asked
    stage.dog.watch(ID, TARGET)
    assert stage.after(1) is Verdict.FINE


def test_nothing_is_asked_while_docker_is_away() -> None:
    """It gives the games' names: a question would stall the players, and its silence would mean nothing."""
    asked: list[str] = []
    away = True
    dog = Watchdog(
        PATIENCE,
        clock=lambda: 0.0,
        changed=lambda _: None,
        ask=lambda host, _: bool(asked.append(host)),
        names_resolve=lambda: not away,
    )
    dog.watch(ID, TARGET)
    dog.step()
    assert not asked
    away = False
    dog.step()
    assert asked


def test_a_server_that_is_gone_is_forgotten() -> None:
    """A new one of its id begins with all three bounces."""
    stage = Stage()
    stage.answering = set()
    stage.dog.watch(ID, TARGET)
    for _ in range(3):
        stage.until_bounce()
    stage.dog.forget(ID)
    stage.dog.watch(ID, TARGET)
    stage.until_bounce()


def test_one_slow_name_holds_up_nobody_else() -> None:
    """The others' games are asked at the same time."""
    slow, other = threading.Event(), threading.Event()

    def ask(host: str, _port: int) -> bool:
        if host == "slow":
            assert other.wait(5), "the other game was not asked meanwhile"
            slow.set()
            return True
        other.set()
        return True

    dog = Watchdog(PATIENCE, clock=lambda: 0.0, changed=lambda _: None, ask=ask)
    dog.watch("srv_slow_1", Target(("slow",), 1))
    dog.watch("srv_fast_1", Target(("fast",), 2))
    dog.step()
    assert slow.is_set()


def test_a_real_game_is_asked_by_the_lightweight_query() -> None:
    """Where nothing listens nothing answers; the question itself is bounded."""
    dog = Watchdog(0.01, clock=iter(range(100)).__next__, changed=lambda _: None)
    dog.watch(ID, Target(("127.0.0.1",), 9))
    dog.step()
    assert dog.watch(ID, Target(("127.0.0.1",), 9)) is Verdict.BOUNCE


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=100))
def test_never_more_than_three_bounces_in_ten_minutes(answers: list[tuple[bool, float]]) -> None:
    """Whatever comes through, and when."""
    path, now, bounces = Path(), 0.0, list[float]()
    for answer, pause in answers:
        now += pause
        path = heard(path, now) if answer else unheard(path, now)
        if judge(path, PATIENCE, now) is Verdict.BOUNCE:
            path = bounced(path, now)
            bounces.append(now)
        assert len(BOUNCES.recent(bounces, now)) <= BOUNCES.times
