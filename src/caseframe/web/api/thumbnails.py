"""Thumbnails: asked for by the hundred, so their address is the first that is tried."""

from __future__ import annotations

from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from caseframe.catalog.database import Catalog
from caseframe.catalog.showing import Small, small
from caseframe.domain.errors import NotFound
from caseframe.web.deps import ServicesDep
from caseframe.web.lately import SeenGallery

router = APIRouter(prefix="/api/v1", tags=["pictures"])
FOREVER = "private, max-age=31536000, immutable"
"""For what is made of content, and so can never be another."""
JPEG: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}}


def unchanged(request: Request, tag: str) -> bool:
    """Whether who asks has this already."""
    asked = request.headers.get("if-none-match", "")
    return tag in asked or asked.strip() == "*"


@router.get("/jobs/{job_id}/pictures/{image_id}/thumbnail", response_class=Response, responses=JPEG)
async def thumbnail(
    request: Request, here: ServicesDep, gallery: SeenGallery, image_id: int
) -> Response:
    """A small upright copy, made when the picture was scanned."""
    found = await _small(here.catalog, gallery, image_id)
    headers = {"cache-control": FOREVER, "etag": f'"{found.sha256.hex()}"'}
    if unchanged(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    if found.data is None:
        raise NotFound("there is no thumbnail: no pixel of this picture could be decoded")
    return Response(found.data, media_type=found.mime, headers=headers)


async def _small(catalog: Catalog, gallery: int, image_id: int) -> Small:
    if catalog.answers_at_once:  # sooner than a thread is woken to ask it
        return _read(catalog, gallery, image_id)
    return await to_thread.run_sync(_read, catalog, gallery, image_id)


def _read(catalog: Catalog, gallery: int, image_id: int) -> Small:
    with catalog.read() as connection:
        return small(connection, gallery, image_id)
