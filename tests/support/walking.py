"""Every address of the web, found from the application itself, with something to send to each.

A route that was added today is walked today. One that cannot be filled fails the test, so that
whoever adds it says here what its parameters stand for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute
from tests.support.web import WebServer

from caseframe.web.api import ROUTERS as API
from caseframe.web.pages import ROUTERS as PAGES

SAFE = {"GET", "HEAD"}
ANYTHING = {
    "job_id": "x", "image_id": "1", "user_id": "x", "session_id": "x", "invitation_id": "x",
    "provider": "x",
}  # fmt: skip
"""Something for every parameter of an address."""
_NAMED = re.compile(r"\{(\w+)(?::\w+)?\}")


@dataclass(frozen=True)
class Route:
    """One method of one address."""

    method: str
    path: str
    page: bool
    body: Any = None

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of what stands in the address."""
        return tuple(_NAMED.findall(self.path))

    def address(self, values: Mapping[str, str]) -> str:
        """The address with values for its parameters. KeyError names one that nobody told."""
        return _NAMED.sub(lambda found: values[found.group(1)], self.path)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def documented(web: WebServer) -> list[Route]:
    """All routes of the OpenAPI document, each with a body that its schema allows."""
    document = web.client().get("/api/v1/openapi.json").json()
    return [
        Route(method.upper(), _with_required(path, operation), False, _body(operation, document))
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _with_required(path: str, operation: dict[str, Any]) -> str:
    wanted = [p for p in operation.get("parameters", ()) if p["in"] == "query" and p["required"]]
    query = "&".join(f"{p['name']}={_filled(p['schema'], {})}" for p in wanted)
    return f"{path}?{query}" if query else path


def _body(operation: dict[str, Any], document: dict[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    return None if schema is None else _filled(schema, document)


def _filled(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    """The least that a schema allows. Raises AssertionError for what it cannot fill."""
    if "$ref" in schema:
        return _filled(document["components"]["schemas"][schema["$ref"].split("/")[-1]], document)
    for choice in ("enum", "anyOf", "oneOf"):
        if choice in schema:
            first = schema[choice][0]
            return first if choice == "enum" else _filled(first, document)
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    if kind == "object":
        required = schema.get("required", ())
        return {name: _filled(schema["properties"][name], document) for name in required}
    simple = {
        "string": "x" * max(1, schema.get("minLength", 1)), "integer": schema.get("minimum", 1),
        "number": 1.0, "boolean": True, "array": [], "null": None,
    }  # fmt: skip
    assert kind in simple, f"the walk cannot fill {schema}; teach it to"
    return simple[kind]


def undocumented() -> list[Route]:
    """All pages: what is meant for people and stands in no document."""
    return [
        Route(method, route.path, True)
        for router in PAGES
        for route in _routes(router.routes)
        for method in sorted(route.methods or ())
    ]


def of_the_interface() -> list[Route]:
    """All routes of the REST interface as the application knows them."""
    return [
        Route(method, route.path, False)
        for router in API
        for route in _routes(router.routes)
        for method in sorted(route.methods or ())
    ]


def _routes(found: list[Any]) -> list[APIRoute]:
    for route in found:
        assert isinstance(route, APIRoute), f"the walk does not know what {route} is"
    return found
