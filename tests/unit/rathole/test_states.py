"""The table of a tunnel's life."""

import itertools

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from core.models import TunnelState
from rathole.states import RUNNING, TABLE, WAITING, Action, Event, NoTransition, transition

STOPPING, STOPPED, STARTING = TunnelState.STOPPING, TunnelState.STOPPED, TunnelState.STARTING


@pytest.mark.parametrize("state", TunnelState)
def test_every_state_knows_what_an_operator_may_ask(state: TunnelState) -> None:
    """Run, stop and bounce can come at any moment."""
    for event in (Event.RUN, Event.STOP, Event.BOUNCE):
        assert transition(state, event)


@pytest.mark.parametrize("state", sorted(RUNNING))
def test_a_refusal_stops_the_client_at_once(state: TunnelState) -> None:
    """A wrong token does not become right by trying each second."""
    assert transition(state, Event.REFUSED) == (TunnelState.FAILED, Action.GIVE_UP)


@pytest.mark.parametrize("state", sorted(WAITING))
def test_a_bounce_does_not_wait_for_the_next_attempt(state: TunnelState) -> None:
    """A changed configuration may be the cure."""
    assert transition(state, Event.BOUNCE) == (STARTING, Action.START)


def test_a_pair_that_is_not_in_the_table_is_an_error() -> None:
    """A stopped tunnel cannot become up: who says so is wrong."""
    with pytest.raises(NoTransition, match="stopped does not know the event all_up"):
        transition(STOPPED, Event.ALL_UP)


def test_every_state_can_be_left_and_reached() -> None:
    """No state is a trap, and none is there for nothing."""
    reached = {state for state, _ in TABLE.values()}
    left = {before for (before, _), (after, _) in TABLE.items() if before is not after}

    assert reached == left == set(TunnelState)


def test_a_client_is_started_only_where_none_runs() -> None:
    """`start` leaves states without a process; states with one end it first."""
    for (state, _), (_, action) in TABLE.items():
        assert action is not Action.START or state in WAITING | {STOPPED}
        assert action not in (Action.RESTART, Action.GIVE_UP) or state in RUNNING


class Life(RuleBasedStateMachine):
    """A tunnel that any order of possible events happens to: at most one process, none when stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.state = STOPPED
        self.processes = 0

    def step(self, event: Event) -> None:
        """Do what the table says, as the tunnel does."""
        self.state, action = transition(self.state, event)
        if action in (Action.END, Action.RESTART, Action.GIVE_UP) or event is Event.EXITED:
            self.processes = 0
        if action in (Action.START, Action.RESTART):
            self.processes += 1
        if action is Action.END:
            self.state, _ = transition(self.state, Event.ENDED)
        assert self.processes == (self.state in RUNNING)

    @rule(event=st.sampled_from([Event.RUN, Event.STOP, Event.BOUNCE]))
    def ask(self, event: Event) -> None:
        """Somebody asks for something."""
        self.step(event)

    @precondition(lambda self: self.state in RUNNING)
    @rule(event=st.sampled_from([Event.ALL_UP, Event.SOME_UP, Event.NONE_UP, Event.REFUSED, Event.EXITED]))
    def happen(self, event: Event) -> None:
        """Something happens to the client."""
        self.step(event)

    @precondition(lambda self: self.state in WAITING)
    @rule()
    def wait(self) -> None:
        """Time passes."""
        self.step(Event.DUE)


TestLife = Life.TestCase


def test_the_table_is_closed() -> None:
    """Pairs outside the table raise, all of them."""
    missing = set(itertools.product(TunnelState, Event)) - set(TABLE)

    for state, event in missing:
        with pytest.raises(NoTransition):
            transition(state, event)
