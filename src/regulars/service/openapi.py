"""The page that tells programs what the service does (OpenAPI 3.1), made from the routes and their types."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from regulars.service.problems import Problem

if TYPE_CHECKING:
    from regulars.service.routes import Route

_WORDS = {
    400: "A field cannot be used; the answer says which and how to mend it",
    401: "No key, or one that nobody has",
    403: "A key of another role",
    404: "Not there",
    405: "Not with this method",
    409: "Not now, or nothing to do it about",
    413: "Too large",
    415: "Another kind of content is needed",
    422: "The Idempotency-Key came with another request",
    503: "The store could not do it; try again",
}


def page(routes: Sequence[Route]) -> bytes:
    """The OpenAPI document of these routes, as JSON."""
    types = [kind for route in routes for kind in (route.takes, route.gives) if kind is not None]
    types = list({repr(kind): kind for kind in [*types, Problem]}.values())
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    schema = {repr(kind): found for kind, found in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "Regulars",
            "version": "1",
            "description": "The policy that was rehearsed, live: events in, decisions out, with reasons and a ledger.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "basic": {"type": "http", "scheme": "basic"},
            },
        },
    }
    return json.dumps(document, sort_keys=True).encode()


def _operation(route: Route, schema: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "summary": route.about,
        # Two paths may differ in a slash at the end.
        "operationId": re.sub(r"\W+", "_", re.sub("[{}]", "", f"{route.method.lower()}{route.path}")),
        "responses": {},
    }
    statuses: list[int] = []
    if route.does is not None:
        told["security"] = [{"bearer": []}, {"basic": []}]
        told["description"] = f"For keys of the role {route.role}."
        statuses = [400, 401, 403, 413, 415, 503]
        if "{" in route.path:
            statuses += [404]
            told["parameters"] = [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
                for name in re.findall(r"{(\w+)}", route.path)
            ]
        told.setdefault("parameters", []).extend(
            {
                "name": name, "in": "query", "required": False,
                "schema": {"type": "string", "enum": list(words), "default": words[0]},
            }
            for name, words in route.query.items()
        )  # fmt: skip
    elif route.path == "/healthz":
        statuses = [503]
    if route.once:
        statuses += [409, 422]
        told.setdefault("parameters", []).append(
            {
                "name": "Idempotency-Key", "in": "header", "required": False,
                "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
            }
        )  # fmt: skip
    if route.takes is not None:
        told["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema[repr(route.takes)]}},
        }
    good: dict[str, Any] = {"description": "Done"}
    if route.gives is not None:
        good["content"] = {"application/json": {"schema": schema[repr(route.gives)]}}
    elif route.path == "/metrics":
        good["content"] = {"text/plain": {"schema": {"type": "string"}}}
    else:
        good["content"] = {"application/json": {"schema": {"type": "object"}}}
    told["responses"][str(route.status)] = good
    for status in sorted(set(statuses)):
        told["responses"][str(status)] = {
            "description": _WORDS[status],
            "content": {"application/problem+json": {"schema": schema[repr(Problem)]}},
        }
    return told
