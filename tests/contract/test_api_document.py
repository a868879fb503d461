"""docs/openapi.yaml says what is served: no less, no more. Answers are held against it in tests/fakes/face.py."""

from typing import Any

import pytest

from api.errors import STATUS
from api.requests import ConfigureBody, RestartBody, ServerBody, StopBody, TunnelBody
from api.routes import ROUTES, Access, Route
from core.models import OperationKind, OperationStatus, Phase, ServerSpec, TunnelReason, TunnelState
from tests.fakes.face import OPENAPI, document_path, documented, make_face

SCHEMAS = OPENAPI["components"]["schemas"]
BODY_ERRORS = {"400", "413", "415", "422"}


def _name(route: Route) -> str:
    return route.name


def test_what_is_served_is_documented_and_the_other_way_round() -> None:
    """Paths and methods of the app are those of the document."""
    served = {
        (document_path(rule.rule), method.lower())
        for rule in make_face().app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    }
    assert served == {(path, method) for path, item in OPENAPI["paths"].items() for method in item}


@pytest.mark.parametrize("route", ROUTES, ids=_name)
def test_the_document_says_who_may_call(route: Route) -> None:
    """Open routes are marked so, and all others know 401 and 429."""
    operation = documented(route.method, route.path)
    assert (operation.get("security") == []) is (route.access is Access.OPEN)
    assert ({"401", "429"} <= set(operation["responses"])) is (route.access is Access.KEY)


@pytest.mark.parametrize("route", ROUTES, ids=_name)
def test_the_document_knows_every_status_of_the_table_and_no_other(route: Route) -> None:
    """200, 500 of an unexpected fault, and what the table and Flask can make of an error."""
    operation = documented(route.method, route.path)
    statuses = set(operation["responses"])
    assert {"200", "500"} <= statuses <= {"200", "500", "413", *(str(status) for status in STATUS.values())}
    assert (statuses >= BODY_ERRORS) is ("requestBody" in operation)
    assert ("<server_id>" in route.path) is ("parameters" in operation)
    if "<server_id>" in route.path:
        assert "422" in statuses


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("Spec", ServerSpec),
        ("ServerBody", ServerBody),
        ("RestartBody", RestartBody),
        ("StopBody", StopBody),
        ("ConfigureBody", ConfigureBody),
        ("TunnelBody", TunnelBody),
    ],
)
def test_bodies_have_the_fields_of_their_models(name: str, model: Any) -> None:  # noqa: ANN401 - any model
    """Every field that is read is documented, and so is whether it must be sent."""
    schema = SCHEMAS[name]
    assert set(schema["properties"]) == {field.alias for field in model.model_fields.values()}
    assert set(schema["required"]) == {field.alias for field in model.model_fields.values() if field.is_required()}


@pytest.mark.parametrize(
    ("documented_values", "words"),
    [
        (SCHEMAS["Agent"]["properties"]["phase"]["enum"], Phase),
        (SCHEMAS["TunnelState"]["enum"], TunnelState),
        ([reason for reason in SCHEMAS["Tunnel"]["properties"]["reason"]["enum"] if reason], TunnelReason),
        (SCHEMAS["Operation"]["properties"]["kind"]["enum"], OperationKind),
        (SCHEMAS["Operation"]["properties"]["status"]["enum"], OperationStatus),
    ],
)
def test_closed_lists_are_whole(documented_values: list[str], words: Any) -> None:  # noqa: ANN401 - any enum
    """A word added to the domain is added to the document."""
    assert documented_values == [word.value for word in words]


def test_a_delete_is_never_refused() -> None:
    """Whatever is under way is ended by it, so there is no conflict to tell of."""
    assert "409" not in documented("DELETE", "/api/containers/<server_id>/delete")["responses"]


def test_every_reference_leads_somewhere_and_everything_is_used() -> None:
    """No dead reference, no component that nothing refers to."""
    used = set(_references(OPENAPI))
    present = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses", "parameters")
        for name in OPENAPI["components"][kind]
    }
    assert used == present


def _references(node: Any) -> list[str]:  # noqa: ANN401 - any part of the document
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return own + [reference for value in node.values() for reference in _references(value)]
    if isinstance(node, list):
        return [reference for value in node for reference in _references(value)]
    return []
