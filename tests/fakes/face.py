"""The face on a fake inside: every answer that any test gets is held against docs/openapi.yaml."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema_rs
import yaml
from flask import Flask, Response, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api.face import register
from api.services import Services
from core.settings import Settings, load_settings
from orchestrator.node import NodeStats
from tests.fakes.servers import FakeRuntime, FakeServers

KEY = "a-key-of-the-agent-0123456789"
SERVER_ID = "srv_JohnDoe_1a2b3c4d"
OPENAPI: dict[str, Any] = yaml.safe_load((Path(__file__).parents[2] / "docs/openapi.yaml").read_text())


@dataclass
class FakeTrust:
    """Trusts the addresses that a test names."""

    addresses: set[str] = field(default_factory=set)

    def trusted(self, address: str) -> bool:
        """Whether a test named it."""
        return address in self.addresses


@dataclass
class Face:
    """The API with its fakes, and a client that has the key."""

    settings: Settings
    servers: FakeServers = field(default_factory=FakeServers)
    runtime: FakeRuntime = field(default_factory=FakeRuntime)
    trust: FakeTrust = field(default_factory=FakeTrust)
    now: float = 1000.0
    app: Flask = field(init=False)

    def __post_init__(self) -> None:
        self.app = Flask("agent", static_folder=None)
        services = Services(
            settings=self.settings,
            servers=self.servers,
            runtime=self.runtime,
            stats=lambda: NodeStats(cpu_usage=12.5, memory_usage=40.0, disk_usage=7.25),
            trust=self.trust,
            clock=lambda: self.now,
        )
        register(self.app, services)
        self.app.testing = True  # an assertion of `_hold_against_document` reaches the test
        self.app.after_request(_hold_against_document)

    @property
    def stranger(self) -> FlaskClient:
        """A client without a key."""
        return self.app.test_client()

    def call(self, method: str, path: str, *, key: str = KEY, **options: Any) -> TestResponse:  # noqa: ANN401 - Flask's
        """Send a request with a key."""
        headers = {"X-API-Key": key, **options.pop("headers", {})}
        return self.stranger.open(path, method=method, headers=headers, **options)

    def get(self, path: str) -> TestResponse:
        """GET with the key."""
        return self.call("GET", path)

    def post(self, path: str, body: object = None) -> TestResponse:
        """POST with the key, and a JSON body where one is given."""
        return self.call("POST", path) if body is None else self.call("POST", path, json=body)

    def delete(self, path: str) -> TestResponse:
        """DELETE with the key."""
        return self.call("DELETE", path)

    def spawn(self, **changes: object) -> TestResponse:
        """Provision the usual server, with changes."""
        return self.post("/api/containers/spawn", spawn_body(**changes))


def make_face(**environ: str) -> Face:
    """Return a face with settings of its own."""
    return Face(load_settings({"NODE_ID": "node-1", "HOST_AGENT_API_KEY": KEY, **environ}))


def spawn_body(**changes: object) -> dict[str, Any]:
    """Return what an orchestrator sends, with changes."""
    return {
        "serverId": SERVER_ID,
        "serverName": "Würfel & Söhne",
        "gamePort": 30012,
        "beaconPort": 30013,
        "ramAllocation": 8,
        "cpuAllocation": 2,
        "maxPlayers": 8,
        "serverPassword": "pass$word",
        "environmentVariables": {"SERVERGAMEPORT": "30012", "PUID": "1000"},
        **changes,
    }


def documented(method: str, rule: str) -> dict[str, Any]:
    """Return what the document says of a route of the app."""
    operation: dict[str, Any] = OPENAPI["paths"][document_path(rule)][method.lower()]
    return operation


def document_path(rule: str) -> str:
    """Return a rule of Flask's as the document writes it."""
    return re.sub("<server_id>", "{serverId}", rule)


def schema_of(response: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a response in the document, with all that it refers to."""
    named = OPENAPI["components"]["responses"][response["$ref"].rsplit("/", 1)[1]]
    return {**named["content"]["application/json"]["schema"], "components": OPENAPI["components"]}


def _hold_against_document(answer: Response) -> Response:
    if request.url_rule is not None and request.method != "HEAD":
        responses = documented(request.method, request.url_rule.rule)["responses"]
        assert str(answer.status_code) in responses, f"{request.url_rule} answers {answer.status_code}: not documented"
        faults = _faults(schema_of(responses[str(answer.status_code)]), answer.get_json())
        assert not faults, f"{request.url_rule} {answer.status_code}: {faults}"
    return answer


def _faults(schema: dict[str, Any], body: object) -> list[str]:
    return [fault.message for fault in jsonschema_rs.validator_for(schema).iter_errors(body)]
