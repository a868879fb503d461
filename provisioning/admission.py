"""Which spawn is let in: one whose id and ports are free, or that asks for what is there already."""

import time
from functools import partial

from compose.file import SERVER_LABEL
from core.errors import Conflict, InvalidRequest
from core.models import OperationKind, ServerSpec
from core.operations import Operation
from core.servers import Server
from provisioning.hands import Hands
from provisioning.operations import Operations

# How long a spawn waits for what is being deleted to free its id and ports.
_PATIENCE = 30.0


class Admission:
    """Takes new servers in.

    Args:
        hands: knows the servers, and Docker's containers.
        operations: where a provision begins.
    """

    def __init__(self, hands: Hands, operations: Operations) -> None:
        self._hands = hands
        self._operations = operations
        self._table = hands.servers

    def admit(self, spec: ServerSpec, user_token: str | None) -> Operation | None:
        """Return the operation that provisions the server; None where it is there already.

        A server in the way that is being removed is waited for, up to 30 s.

        Raises:
            Conflict: id or ports are taken, or the host is full.
            InvalidRequest: the id is the name of somebody's container.
        """
        self._refuse_foreign(spec.server_id)
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._try(spec, user_token)
            except Conflict as error:
                if not self._left(str(error.details.get("server_id")), deadline - time.monotonic()):
                    raise

    def _refuse_foreign(self, server_id: str) -> None:
        """A server named like somebody's container would catch the calls that are meant for that one."""
        if self._table.get(server_id) is not None:
            return
        for container in self._hands.engine.namesakes(server_id):
            if SERVER_LABEL not in container.labels:
                raise InvalidRequest(
                    "invalid_server_id",
                    f"There is a container {container.name} on this host that is not a game server; choose another id.",
                )

    def _try(self, spec: ServerSpec, user_token: str | None) -> Operation | None:
        there = self._table.get(spec.server_id)
        if there is None:
            add = partial(self._add, spec)
            operation = self._operations.begin(spec.server_id, OperationKind.PROVISION, add, user_token)
            self._check_same(self._table.get(spec.server_id), spec)  # another caller may have been faster
            return operation
        self._check_same(there, spec)
        return self._operations.join(spec.server_id, OperationKind.PROVISION, user_token)

    def _check_same(self, there: Server | None, spec: ServerSpec) -> None:
        if there and there.deleting:
            raise Conflict(
                "server_deleting", f"{there.server_id} is being deleted; try again.", server_id=there.server_id
            )
        if there and there.spec != spec:
            raise Conflict(
                "server_exists",
                f"There is a server {there.server_id} with another spec (upper and lower case are the same id); "
                "delete it first.",
                server_id=there.server_id,
            )

    def _add(self, spec: ServerSpec) -> None:
        most = self._hands.settings.max_servers
        if self._table.count() >= most:
            raise Conflict(
                "too_many_servers", f"This host takes {most} servers (MAX_SERVERS) and has them; delete one first."
            )
        self._table.add(spec)

    def _left(self, server_id: str, patience: float) -> bool:
        """Wait for a server in the way that is being removed; tell whether it left."""
        if not self._is_leaving(server_id):
            return False
        # Not until there is none: another one of the same id may be there at once.
        return self._operations.until(lambda: not self._is_leaving(server_id), patience)

    def _is_leaving(self, server_id: str) -> bool:
        holder = self._table.get(server_id)
        return holder is not None and holder.deleting
