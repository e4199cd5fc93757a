"""Pages of a job's pictures: the grid, the map, the timeline; all ask the REST interface."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from caseframe.web.deps import SeenJob, ServicesDep
from caseframe.web.jobs import card
from caseframe.web.render import page

router = APIRouter()


@router.get("/jobs/{job_id}/gallery")
def gallery(request: Request, here: ServicesDep, found: SeenJob) -> Response:
    """The grid of pictures with search, filters and panes; its state is in the address."""
    return page(request, "gallery.html", card=card(here, found.who, found.job.id))


@router.get("/jobs/{job_id}/map")
def world(request: Request, here: ServicesDep, found: SeenJob) -> Response:
    """Where the pictures were taken."""
    return page(request, "map.html", card=card(here, found.who, found.job.id))


@router.get("/jobs/{job_id}/timeline")
def timeline(request: Request, here: ServicesDep, found: SeenJob) -> Response:
    """When the pictures were taken."""
    return page(request, "timeline.html", card=card(here, found.who, found.job.id))
