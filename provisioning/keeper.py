"""One server's keeper: looks, plans, acts, until all is as it should be; then waits for a reason to look again."""

import threading
from dataclasses import replace
from functools import partial
from itertools import count

from core.backoff import Backoff
from core.errors import AgentError
from core.failpoints import Failpoint
from core.log import get_logger
from core.models import OperationKind
from core.operations import Operation
from core.servers import Server
from provisioning.actions import Actions
from provisioning.asker import Asker
from provisioning.behind import Behind
from provisioning.ending import Ending
from provisioning.failures import Failures
from provisioning.hands import Hands
from provisioning.loops import Loop
from provisioning.mending import Mending
from provisioning.observe import Look, look
from provisioning.operations import SAVE_FAILED, Operations
from provisioning.plan import Action, is_wanted, plan
from provisioning.record import keep_record
from provisioning.together import run_together

log = get_logger("keeper")

_PASS_INTERVAL = 15.0
_STARTING_INTERVAL = 1.0
_DOWN_INTERVAL = 5.0
_SHORTEST_WAIT = 0.1
# A plan that is not done after so many rounds contradicts itself.
_MAX_ROUNDS = 40
# A manager may take a minute to answer.
_ASKS = frozenset({Action.ASK_MANAGER, Action.REMAKE_INSTANCE})
_REFUSABLE = frozenset({OperationKind.STOP, OperationKind.RESTART})


class Keeper:
    """Keeps one server as it should be, in a thread of its own: a slow one never holds up another.

    Args:
        server_id: whose keeper it is.
        hands: what it looks and acts with.
        actions: how each action is done.
        operations: what was asked for.
        draining: set when all games shall stop, whatever is wanted of them.
    """

    def __init__(
        self, server_id: str, hands: Hands, actions: Actions, operations: Operations, draining: threading.Event
    ) -> None:
        self.server_id = server_id
        self.last_look: Look | None = None
        self._hands = hands
        self._actions = actions
        self._operations = operations
        self._ending = Ending(hands, actions, operations, draining)
        self._failures = Failures(server_id, hands, operations)
        self._backoff = Backoff()
        self._wake = threading.Event()
        self._not_before = 0.0
        self._taken_up = False
        self._mending = Mending()
        self._said: str | None = None
        self._noticed: str | None = None
        self._behind = Behind(f"manager for {server_id}", self.wake)
        self.loop = Loop(f"server {server_id}", self.step, self._wake)

    def wake(self, *, urgent: bool = False) -> None:
        """Look again now; `urgent` forgets the backoff of what failed before."""
        if urgent:
            self._not_before = 0.0
        self._wake.set()

    def step(self) -> float:
        """Bring the server to what it should be; return the seconds until it is worth looking again."""
        if not self._taken_up:
            self._actions.take_up(self.server_id)
            self._taken_up = True
        for rounds in count(1):
            # In this order: an operation and its wish are written together, so the wish is never the older one.
            operation = self._operations.current(self.server_id)
            self._take_notice(operation)
            server = self._hands.servers.get(self.server_id)
            if server is None:
                return _PASS_INTERVAL
            try:
                _check_end(self.server_id, rounds)
                keep_record(self._hands.layout.record(server.server_id), server)
                if self._round(self._ending.wished(server), operation):
                    break
            except AgentError as error:
                return self._failed(server, operation, error)
            except Exception:
                # The loop says it and goes on; who waits for the operation shall not wait for ever.
                self._failed(server, operation, AgentError("internal_error", "The agent has a fault; see its log."))
                raise
        return self._until_next_look()

    def _take_notice(self, operation: Operation | None) -> None:
        """Somebody has asked for something, maybe with a token, so a manager that failed is asked at once."""
        if operation and operation.operation_id != self._noticed:
            self._noticed = operation.operation_id
            self._hands.instances.retry_now(self.server_id)

    def _round(self, server: Server, operation: Operation | None) -> bool:
        """Look, plan and act once; tell whether nothing was left to do."""
        asking = operation is None and self._behind.is_busy()  # before the look, which may see what came of it
        self.last_look = look(self._hands, server)
        if server.stopped_externally and self.last_look.seen.is_alive:
            server = self._started_again(server)
        server = self._heeded(server, self.last_look)
        server = self._hands.crashes.follow(server, self.last_look.container, ready=self.last_look.game.ready)
        seen = self.last_look.seen
        if asking:
            seen = replace(seen, manager_due=False)
        if operation and operation.kind is OperationKind.KILL:
            seen = replace(seen, save_due=False)
        actions = plan(server, self._hands.ports(server), seen)
        if self._is_settled(actions):
            self._settled(server, operation)
            operation = None
        if not actions:
            if not (seen.manager_failed or seen.instance_stale):  # else the manager is only not to be asked yet
                self._begin_anew()
            return True
        if self._hands.clock() < self._not_before and not operation:
            return True
        self._act(server, operation, actions)
        return False

    def _heeded(self, server: Server, seen: Look) -> Server:
        """Learn whether somebody stopped the game by hand, before it is started again."""
        ended = seen.container is not None and seen.container.status == "exited"
        if not (ended and is_wanted(server)) or server.deleting:
            return server
        self._hands.stops.catch_up()
        now = self._hands.servers.get(self.server_id)
        return replace(server, stopped_externally=now is not None and now.stopped_externally)

    def _started_again(self, server: Server) -> Server:
        """Whoever stopped the game by hand has started it again, so it is wanted once more."""
        log.info("The container was started again by hand.", server=self.server_id)
        self._hands.servers.update(self.server_id, stopped_externally=False)
        return replace(server, stopped_externally=False)

    def _is_settled(self, actions: set[Action]) -> bool:
        """A game is claimed, and a manager that failed asked again, behind the caller's back: it is a game by now."""
        failed = self.last_look is not None and self.last_look.seen.manager_failed
        behind = {Action.CLAIM, Action.ASK_MANAGER} if failed else {Action.CLAIM}
        return actions <= behind

    def _begin_anew(self) -> None:
        """Let what failed before count no more."""
        self._backoff.reset()
        self._mending.all_well()
        self._failures.forget()
        self._said = None

    def _settled(self, server: Server, operation: Operation | None) -> None:
        if operation:
            self._operations.end(operation)
        if server.failure_code:
            self._hands.servers.update(self.server_id, failure_code=None, failure_message=None)

    def _act(self, server: Server, operation: Operation | None, actions: set[Action]) -> None:
        """Do the actions side by side; the first error counts once all have ended."""
        if operation:
            self._operations.at_step(operation, "+".join(sorted(actions)))
        elif self.last_look:
            self._mending.say(actions, server, self._hands.ports(server), self.last_look.seen)
        if actions == {Action.FORGET}:
            self._forget(server, operation)
            return
        if actions == {Action.SAVE_GAME} and self.last_look:
            self._ending.save_and_end(server, self.last_look, operation)
            return
        asker = self._asker(operation)
        tasks = {action: partial(self._do, action, server, asker) for action in sorted(actions)}
        for action in actions & _ASKS if self._goes_on_meanwhile(operation) else ():  # one at most
            self._behind.begin(tasks.pop(action))
        run_together(list(tasks.values()))

    def _goes_on_meanwhile(self, operation: Operation | None) -> bool:
        """Nobody waits for the manager's answer; a game that does not run yet does, as it may name other ports."""
        return operation is None and self.last_look is not None and self.last_look.seen.is_alive

    def _asker(self, operation: Operation | None) -> Asker:
        """Whoever waits does so until his operation is superseded."""
        if operation is None:
            return Asker()
        return Asker(self._operations.token(operation), partial(self._failures.is_under_way, operation))

    def _do(self, action: Action, server: Server, asker: Asker) -> None:
        if self.last_look:
            self._actions.do(action, server, self.last_look, asker)

    def _forget(self, server: Server, operation: Operation | None) -> None:
        """Remove the row and end the operation: well if it was a delete, else with what made us undo it."""
        # Outside the transaction: whoever tends the tunnels holds their lock and then wants the store.
        asker = self._asker(operation)
        self._do(Action.FORGET, server, asker)
        token = asker.user_token
        if operation:
            error = self._failures.cause_of(server) if operation.kind is OperationKind.PROVISION else None
            self._operations.end(operation, error, lambda: self._remove_row(token), Failpoint.ROW_REMOVED)
        else:
            self._remove_row(token)
        self._begin_anew()
        self.last_look = None  # the next server of this id is another one

    def _remove_row(self, user_token: str | None) -> None:
        """Remove the row; the manager may have an instance even where none is kept, if we died in between."""
        with self._hands.servers.transaction(Failpoint.ROW_REMOVED):
            self._hands.instances.release(self.server_id, user_token)
            self._hands.servers.remove(self.server_id)

    def _failed(self, server: Server, operation: Operation | None, error: AgentError) -> float:
        if error.code != self._said:
            log.warning(error.message, server=self.server_id, code=error.code)
        self._said = error.code
        if operation and error.code == SAVE_FAILED and operation.kind in _REFUSABLE:
            self._failures.refused(operation, error)
            return 0.0
        delay = self._backoff.next_delay()
        self._not_before = self._hands.clock() + delay
        if operation is None:
            self._failures.show(server, self.last_look, error)
            return delay
        return delay if self._failures.of_operation(server, self.last_look, operation, error) else 0.0

    def _until_next_look(self) -> float:
        """Look again when the manager may be asked, soon while a game starts or its tunnel is down, else each 15 s."""
        now, last = self._hands.clock(), self.last_look
        waits = [_PASS_INTERVAL]
        if self._not_before > now:
            waits.append(self._not_before - now)
        if last and last.seen.is_alive and not (last.game.ready and last.game.settled):
            waits.append(_STARTING_INTERVAL)
        if self._hands.supervisor.status(self.server_id).down_since is not None:
            waits.append(_DOWN_INTERVAL)
        if last and last.seen.manager_failed and not last.seen.manager_due:  # else asked behind, or not at all
            waits.append(max(self._hands.instances.next_at(self.server_id) - now, _SHORTEST_WAIT))
        return min(waits)


def _check_end(server_id: str, rounds: int) -> None:
    if rounds > _MAX_ROUNDS:
        raise RuntimeError(f"The plan for {server_id} does not come to an end.")
