"""The OpenAPI page says what the service does: every route, and every answer to whatever does or does not fit it."""

import json
import re

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from regulars.service.routes import ROUTES

from .desk import order

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, ignored_auth,
]  # fmt: skip
#: A few requests of every route in a run of the tests, a thousand under the profile ``soak``.
EXAMPLES = 20 if settings.default.max_examples <= 100 else 1_000


@pytest.fixture(scope="module")
def api(lasting):
    """The page as a client reads it; with a customer and a decision there is something to find."""
    lasting.allow("anna")
    lasting.send(order("anna"))
    lasting.decide("anna")
    return schemathesis.openapi.from_asgi("/openapi.json", lasting.live.service)


def fits(lasting, case):
    """That the answer to this request is one that the page tells of, and no error of ours."""
    key = {"Authorization": f"Bearer {lasting.live.keys['admin']}"}
    return case.call_and_validate(headers=key, checks=CHECKS)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_answer_to_what_fits_the_page_is_told_there(lasting, api, route, data):
    fits(lasting, data.draw(api[route.path][route.method].as_strategy(GenerationMode.POSITIVE)))


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.takes], ids=lambda route: f"{route.method} {route.path}"
)
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_answer_to_what_does_not_fit_the_page_is_told_there(lasting, api, route, data):
    fits(lasting, data.draw(api[route.path][route.method].as_strategy(GenerationMode.NEGATIVE)))


@pytest.fixture(scope="module")
def page(lasting):
    return lasting.ask("GET", "/openapi.json", key="").json()


def test_the_page_is_openapi_3_1_and_has_every_route_and_no_other(page):
    assert page["openapi"] == "3.1.0"
    told = {(method.upper(), path) for path, methods in page["paths"].items() for method in methods}
    assert told == {(route.method, route.path) for route in ROUTES}


def test_the_page_says_who_may_what_and_what_is_refused(page):
    for route in ROUTES:
        told = page["paths"][route.path][route.method.lower()]
        assert told["summary"] and str(route.status) in told["responses"]
        assert bool(told.get("security")) == (route.role is not None)
        if route.role is not None:
            assert f"role {route.role}" in told["description"]
            assert {"400", "401", "403", "413", "415", "503"} <= told["responses"].keys()
        assert ("requestBody" in told) == (route.takes is not None)
        names = {each["name"] for each in told.get("parameters", [])}
        once = ["Idempotency-Key"] if route.once else []
        assert names == {*re.findall(r"{(\w+)}", route.path), *once, *route.query}
    ids = [told["operationId"] for methods in page["paths"].values() for told in methods.values()]
    assert len(ids) == len(set(ids))


def test_the_page_says_by_which_names_somebody_is_looked_up(page):
    for method in ("get", "delete"):
        told = page["paths"]["/v1/customers/{user}"][method]["parameters"]
        (kind,) = [each for each in told if each["name"] == "kind"]
        assert kind["in"] == "query" and not kind["required"]
        assert kind["schema"]["enum"] == ["user", "anonymous", "email", "phone"]
        assert kind["schema"]["default"] == "user"


def test_every_reference_of_the_page_leads_somewhere(page):
    found = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(page)))
    assert found and found <= page["components"]["schemas"].keys()


def test_what_is_said_of_a_customer_fits_the_page(api, lasting):
    """Examples seldom hit a customer; this one is there."""
    name = lasting.account("anna")["decisions"][0]["id"]
    for method, path, parameters in (
        ("GET", "/v1/customers/{user}", {"user": "anna"}),
        ("GET", "/v1/decisions/{id}", {"id": name}),
        ("POST", "/v1/decisions/{id}/replay", {"id": name}),
    ):
        case = api[path][method].Case(path_parameters=parameters)
        assert fits(lasting, case).status_code == 200
