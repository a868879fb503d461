"""A game whose API is the stand-in's, without a process, a port or a container: what its callers send is acted on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import GameFailed
from core.proc import Completed
from satisfactory.https import read_answer
from satisfactory.local import LocalApi
from standin.access import ClaimFile, Tokens
from standin.functions import Functions, RefusedError
from standin.world import World


@dataclass
class FakeGame:
    """One game.

    Attributes:
        config: its `/config`.
        trusts: whether its own container may do everything.
        up: whether its API answers.
        has_curl: whether its container has a curl.
        world: what is played in it.
        argvs: what was run in its container.
    """

    config: Path
    trusts: bool = True
    up: bool = True
    has_curl: bool = True
    argvs: list[Sequence[str]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin to play."""
        self.world = World(self.config / "saved" / "server")
        self.world.begin()
        self.claims = ClaimFile(self.config / "saved" / "ServerSettings.7777.sav")
        self.functions = Functions(self.world, self.claims, Tokens(), max_players=4)

    @property
    def local(self) -> LocalApi:
        """The way through its container."""
        return LocalApi(self.run, 7777)

    def run(self, argv: Sequence[str], environment: Mapping[str, str], timeout: float) -> Completed:
        """Run curl as its container would."""
        assert timeout > 0
        self.argvs.append(argv)
        if not self.has_curl:
            return Completed(127, "", "sh: curl: not found")
        if not self.up:
            return Completed(7, "", "curl: (7) Failed to connect")
        options = _options(environment["SATIS_CALL"])
        authorization = [line for line in options["header"] if line.startswith("Authorization: Bearer ")]
        token = authorization[0].removeprefix("Authorization: Bearer ") if authorization else None
        status, body = self._answer(json.loads(options["data-binary"][0]), token, trusted=self.trusts)
        return Completed(0, f"{body}\n{status}", "")

    def call(
        self, function: str, data: Mapping[str, object], *, token: str | None = None, within: float | None = None
    ) -> dict[str, Any]:
        """Answer a call that came over the network."""
        assert within is None or within > 0
        if not self.up:
            raise GameFailed("game_unreachable", "Connection refused.")
        status, body = self._answer({"function": function, "data": data}, token, trusted=False)
        return read_answer(status, body.encode())

    def _answer(self, call: dict[str, Any], token: str | None, *, trusted: bool) -> tuple[int, str]:
        self.calls.append(call["function"])
        try:
            # A token that is sent is looked at, also where none is needed.
            answer = self.functions.call(call["function"], call["data"], token=token, trusted=trusted and not token)
        except RefusedError as refused:
            return refused.status, json.dumps({"errorCode": refused.code, "errorMessage": str(refused)})
        return (204, "") if answer.data is None else (200, json.dumps({"data": answer.data}))


def _options(config: str) -> dict[str, list[str]]:
    """Read curl's configuration as curl does, as far as it is used."""
    options: dict[str, list[str]] = {}
    for line in config.splitlines():
        name, _, value = line.partition(" = ")
        options.setdefault(name, []).append(json.loads(value) if value.startswith('"') else value)
    return options
