"""The life of a tunnel as a table: (state, event) -> (next state, action). Pure; what is not in it is an error."""

from enum import StrEnum

from core.models import TunnelState


class Event(StrEnum):
    """What happens to a tunnel."""

    RUN = "run"  # it shall run
    STOP = "stop"  # it shall not
    BOUNCE = "bounce"  # it shall run anew: the game restarted, the configuration changed, or it is stuck
    ADOPTED = "adopted"  # a client of an earlier agent was found
    ALL_UP = "all_up"  # every service is connected
    SOME_UP = "some_up"  # some are
    NONE_UP = "none_up"  # none is
    REFUSED = "refused"  # the VPS refuses a token or a service, or rathole its configuration
    EXITED = "exited"  # the client ended, or could not be started
    ENDED = "ended"  # the client that we asked to end did
    DUE = "due"  # the time of the next attempt has come


class Action(StrEnum):
    """What is then to be done."""

    NOTHING = "nothing"
    START = "start"
    END = "end"
    RESTART = "restart"  # end, then start
    GIVE_UP = "give_up"  # end, and try again slowly
    WAIT = "wait"  # try again after the next delay
    CANCEL = "cancel"  # no next attempt


class NoTransition(Exception):
    """An event came in a state that does not know it: a fault of ours."""


_S, _E, _A = TunnelState, Event, Action
_Table = dict[tuple[TunnelState, Event], tuple[TunnelState, Action]]

# A client process is there.
RUNNING = frozenset({_S.STARTING, _S.CONNECTING, _S.UP, _S.DEGRADED})
# None is, and one is to come.
WAITING = frozenset({_S.BACKOFF, _S.FAILED})

_WHILE_RUNNING: _Table = {
    key: value
    for state in RUNNING
    for key, value in {
        (state, _E.RUN): (state, _A.NOTHING),
        (state, _E.STOP): (_S.STOPPING, _A.END),
        (state, _E.BOUNCE): (_S.STARTING, _A.RESTART),
        (state, _E.ALL_UP): (_S.UP, _A.NOTHING),
        (state, _E.SOME_UP): (_S.DEGRADED, _A.NOTHING),
        (state, _E.NONE_UP): (_S.CONNECTING, _A.NOTHING),
        (state, _E.REFUSED): (_S.FAILED, _A.GIVE_UP),
        (state, _E.EXITED): (_S.BACKOFF, _A.WAIT),
    }.items()
}

_WHILE_WAITING: _Table = {
    key: value
    for state in WAITING
    for key, value in {
        (state, _E.RUN): (state, _A.NOTHING),
        (state, _E.STOP): (_S.STOPPED, _A.CANCEL),
        (state, _E.BOUNCE): (_S.STARTING, _A.START),
        (state, _E.DUE): (_S.STARTING, _A.START),
    }.items()
}

TABLE: _Table = {
    **_WHILE_RUNNING,
    **_WHILE_WAITING,
    (_S.STOPPED, _E.RUN): (_S.STARTING, _A.START),
    (_S.STOPPED, _E.BOUNCE): (_S.STARTING, _A.START),
    (_S.STOPPED, _E.STOP): (_S.STOPPED, _A.NOTHING),
    (_S.STOPPED, _E.ADOPTED): (_S.CONNECTING, _A.NOTHING),
    # A client that does not end, even killed, is waited for: there are never two.
    (_S.STOPPING, _E.STOP): (_S.STOPPING, _A.END),
    (_S.STOPPING, _E.RUN): (_S.STOPPING, _A.NOTHING),
    (_S.STOPPING, _E.BOUNCE): (_S.STOPPING, _A.NOTHING),
    (_S.STOPPING, _E.ENDED): (_S.STOPPED, _A.NOTHING),
}


def transition(state: TunnelState, event: Event) -> tuple[TunnelState, Action]:
    """Return the next state and what is to be done.

    Raises:
        NoTransition: the table does not know the pair.
    """
    try:
        return TABLE[state, event]
    except KeyError:
        raise NoTransition(f"a tunnel that is {state} does not know the event {event}") from None
