"""The page on which anybody has pictures described."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from caseframe.web.deps import ServicesDep, Visitor
from caseframe.web.render import page

router = APIRouter()


@router.get("/describe")
def describe(request: Request, here: ServicesDep, _who: Visitor) -> Response:
    """Drop pictures, read what they show."""
    return page(request, "describe.html", most=here.options.max_picture)
