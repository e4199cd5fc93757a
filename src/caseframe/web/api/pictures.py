"""The pictures of a job as a grid: pages, counts, places to jump to, boxes of faces."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from caseframe.catalog import gallery
from caseframe.catalog.detail import FaceBox, faces_of
from caseframe.catalog.gallery import MOST_TILES, Page, Tile
from caseframe.domain.errors import UsageError
from caseframe.web.deps import SeenJob, ServicesDep
from caseframe.web.gallery import Chosen, Ordered, landmarks, position, until_gone

router = APIRouter(prefix="/api/v1", tags=["pictures"])
Cursor = Annotated[str | None, Query(max_length=8192)]


class TileOut(BaseModel):
    """One picture of the grid: one content, under its first path. Bytes, pixels, ISO 8601.

    `captured_at` is by the clock of the camera; `faces` null says that nobody has looked yet.
    """

    id: int
    sha256: str
    path: str
    size: int
    state: str
    mime: str
    format: str | None
    width: int | None
    height: int | None
    captured_at: str | None
    faces: int | None
    copies: int
    problem: bool
    thumbnail: bool


class PageOut(BaseModel):
    """Tiles in their order; `next` and `previous` fetch the pages around, null at an end."""

    pictures: list[TileOut]
    next: str | None
    previous: str | None


class CountOut(BaseModel):
    """How many pictures there are; not `exact` means at least so many."""

    number: int
    exact: bool


class LandmarksOut(BaseModel):
    """`cursors[n]` given as `after` fetches picture (n + 1) * `every`, counted from 0."""

    every: int
    cursors: list[str]
    total: int


class PositionOut(BaseModel):
    """How many pictures stand before one; null when the search does not fit it."""

    position: int | None


class NeighboursOut(BaseModel):
    """The ids of the pictures before and behind one, null at an end."""

    before: int | None
    behind: int | None


class BoxOut(BaseModel):
    """A face in pixels of the upright picture at its full size; `score` is 0 to 1."""

    id: int
    stage: str
    x: int
    y: int
    width: int
    height: int
    score: float


def tile_out(tile: Tile) -> TileOut:
    """A tile as the interface gives it."""
    return TileOut.model_construct(
        id=tile.image_id, sha256=tile.sha256.hex(), path=tile.path_text, size=tile.size,
        state=tile.state, mime=tile.mime, format=tile.format, width=tile.width,
        height=tile.height, captured_at=tile.captured_at, faces=tile.faces, copies=tile.copies,
        problem=tile.problem, thumbnail=tile.thumbnail,
    )  # fmt: skip


def box_out(box: FaceBox) -> BoxOut:
    """A face as the interface gives it."""
    return BoxOut(
        id=box.id, stage=box.stage, x=box.x, y=box.y, width=box.width, height=box.height,
        score=box.score,
    )  # fmt: skip


@router.get("/jobs/{job_id}/pictures")
def pictures(
    here: ServicesDep,
    found: SeenJob,
    query: Chosen,
    sort: Ordered,
    after: Cursor = None,
    before: Cursor = None,
    around: Annotated[
        int | None, Query(description="id of a picture to have in the middle")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_TILES)] = 100,
) -> PageOut:
    """A page of pictures behind or before a cursor, or around a picture; the first one without."""
    if around is not None and (after is not None or before is not None):
        raise UsageError("give one of after, before and around")
    with here.catalog.read() as connection:
        if around is not None:
            page = gallery.around(connection, found.job.id, around, query, sort, limit=limit)
        else:
            page = gallery.page(
                connection, found.job.id, query, sort, after=after, before=before, limit=limit
            )
    return _page_out(page)


def _page_out(page: Page) -> PageOut:
    tiles = [tile_out(tile) for tile in page.tiles]
    return PageOut(pictures=tiles, next=page.next, previous=page.previous)


@router.get("/jobs/{job_id}/pictures/count")
def count(
    here: ServicesDep,
    found: SeenJob,
    query: Chosen,
    most: Annotated[int, Query(ge=1, le=100_000, description="count no further")] = 10_000,
) -> CountOut:
    """How many pictures the search fits; without one always exact."""
    with here.catalog.read() as connection:
        number = gallery.count(connection, found.job.id, query, most=most)
    return CountOut(number=number.number, exact=number.exact)


@router.get("/jobs/{job_id}/pictures/landmarks")
def find_landmarks(
    request: Request,
    here: ServicesDep,
    found: SeenJob,
    query: Chosen,
    sort: Ordered,
    every: Annotated[int, Query(ge=100, le=10_000)] = 1000,
) -> LandmarksOut:
    """Cursors all along the pictures, to jump anywhere, and their exact number.

    Takes as long as there are pictures, and ends when the one who asked hangs up.
    """
    known = landmarks(here.catalog, found.job.id, query, sort, every, until_gone(request))
    return LandmarksOut(every=every, cursors=list(known.cursors), total=known.total)


@router.get("/jobs/{job_id}/pictures/{image_id}/position")
def find_position(
    request: Request, here: ServicesDep, found: SeenJob, image_id: int, query: Chosen, sort: Ordered
) -> PositionOut:
    """Where a picture stands among those that the search fits."""
    stop = until_gone(request)
    at = position(here.catalog, found.job.id, image_id, query, sort, stop)
    return PositionOut(position=at)


@router.get("/jobs/{job_id}/pictures/{image_id}/neighbours")
def find_neighbours(
    here: ServicesDep, found: SeenJob, image_id: int, query: Chosen, sort: Ordered
) -> NeighboursOut:
    """The pictures before and behind one, whether or not the search fits it."""
    with here.catalog.read() as connection:
        both = gallery.neighbours(connection, found.job.id, image_id, query, sort)
    return NeighboursOut(before=both.before, behind=both.behind)


@router.get("/jobs/{job_id}/faces")
def faces(
    here: ServicesDep,
    found: SeenJob,
    images: Annotated[str, Query(max_length=8000, description="ids of pictures, with commas")],
) -> dict[int, list[BoxOut]]:
    """The faces of many pictures at once, by picture; those without any are left out."""
    try:
        numbers = [int(part) for part in images.split(",")]
    except ValueError:
        raise UsageError("images is ids of pictures with commas between: 1,2,3") from None
    if len(numbers) > MOST_TILES:
        raise UsageError(f"ask for at most {MOST_TILES} pictures at once")
    with here.catalog.read() as connection:
        by_image = faces_of(connection, found.job.id, numbers)
    return {number: [box_out(box) for box in boxes] for number, boxes in by_image.items()}
