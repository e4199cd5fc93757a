"""The page about the REST interface, made from the same document that programs read."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from caseframe.web.deps import Who
from caseframe.web.render import page

router = APIRouter()


@router.get("/api/v1/docs")
def docs(request: Request, _who: Who) -> Response:
    """Every route with what it takes and gives."""
    document = request.app.openapi()
    groups: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            group = (route.get("tags") or ["other"])[0]
            groups.setdefault(group, []).append({"path": path, "method": method.upper(), **route})
    return page(request, "docs.html", groups=groups, schemas=document["components"]["schemas"])
