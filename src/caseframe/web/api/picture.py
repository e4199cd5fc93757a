"""One picture of a job: what is known of it, a view of it, the file itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from caseframe.catalog.detail import Detail, near_twins
from caseframe.catalog.showing import Content, content
from caseframe.domain.errors import PictureError, ReadError
from caseframe.domain.text import camera_body
from caseframe.web.api.pictures import BoxOut, TileOut, box_out, tile_out
from caseframe.web.api.thumbnails import FOREVER, JPEG, unchanged
from caseframe.web.deps import SeenJob, ServicesDep
from caseframe.web.evidence import disposition, media_type, original
from caseframe.web.gallery import until_gone
from caseframe.web.picture import Metadata, StageRun, shown
from caseframe.web.security import SANDBOX
from caseframe.web.services import Services

router = APIRouter(prefix="/api/v1", tags=["pictures"])
_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}
_LEAST_SIDE = 64
_MOST_TRIES = 3


class PathOut(BaseModel):
    """A path of the content in this job; `missing`: it was gone at the last scan."""

    path: str
    modified_at: datetime | None
    missing: bool


class PlaceOut(BaseModel):
    """Signed decimal degrees (WGS 84), metres, degrees from north; names of the nearest town."""

    latitude: float
    longitude: float
    altitude_m: float | None
    direction: float | None
    town: str | None
    region: str | None
    country: str | None
    country_code: str | None
    distance_km: float | None


class StageOut(BaseModel):
    """What one stage made of the picture: pending, done, failed or unavailable.

    What an `external` stage, another maker's, found is under `value` of the answer.
    """

    stage: str
    title: str
    summary: str
    external: bool
    version: str
    state: str
    found: bool | None
    reason: str | None
    attempts: int
    seconds: float | None
    model: str | None
    model_digest: str | None
    finished_at: datetime | None
    answer: dict[str, Any] | None


class RemarkOut(BaseModel):
    """A problem that a stage noted; `scan` stands for the scanner itself."""

    stage: str
    reason: str


class PictureOut(BaseModel):
    """Everything that is known of one picture. `facts` is a sentence made of measured facts.

    `camera` is make and model as people say them, the maker not twice.
    """

    picture: TileOut
    sha1: str
    md5: str
    orientation: int | None
    colorspace: str | None
    bit_depth: int | None
    resolution_dpi: float | None
    camera: str | None
    camera_make: str | None
    camera_model: str | None
    lens: str | None
    added_at: datetime
    reason: str | None
    caption: str | None
    facts: str | None
    paths: list[PathOut]
    place: PlaceOut | None
    faces: list[BoxOut]
    metadata: Metadata
    stages: list[StageOut]
    problems: list[RemarkOut]


class NearOut(BaseModel):
    """A picture that looks like another one; `distance` is the bits of 256 that differ."""

    distance: int
    picture: TileOut


def modified_at(nanoseconds: int) -> datetime | None:
    """A file's time; None for what no calendar holds."""
    try:
        return datetime.fromtimestamp(nanoseconds // 10**9, UTC)
    except (OverflowError, ValueError, OSError):
        return None


def _stage_out(run: StageRun) -> StageOut:
    said = run.said
    return StageOut(
        stage=said.stage, title=run.title, summary=run.summary, external=run.external,
        version=said.version, state=said.state, found=said.found, reason=said.reason,
        attempts=said.attempts, seconds=said.seconds,
        model=said.model, model_digest=said.model_digest, finished_at=said.finished_at,
        answer=run.payload,
    )  # fmt: skip


def _place_out(found: Detail) -> PlaceOut | None:
    if found.place is None:
        return None
    return PlaceOut.model_validate(found.place, from_attributes=True)


@router.get("/jobs/{job_id}/pictures/{image_id}")
def picture(here: ServicesDep, found: SeenJob, image_id: int) -> PictureOut:
    """Everything that is known of one picture of a job."""
    known = shown(here, found.job.id, image_id)
    one = known.detail
    return PictureOut(
        picture=tile_out(one.tile), sha1=one.sha1.hex(), md5=one.md5.hex(),
        orientation=one.orientation, colorspace=one.colorspace, bit_depth=one.bit_depth,
        resolution_dpi=one.resolution_dpi,
        camera=camera_body(one.camera_make, one.camera_model), camera_make=one.camera_make,
        camera_model=one.camera_model, lens=one.lens, added_at=one.added_at, reason=one.reason,
        caption=known.caption, facts=known.facts,
        paths=[
            PathOut(path=p.path_text, modified_at=modified_at(p.modified_ns), missing=p.missing)
            for p in one.paths
        ],
        place=_place_out(one), faces=[box_out(box) for box in one.faces],
        metadata=known.metadata, stages=[_stage_out(run) for run in known.stages],
        problems=[RemarkOut(stage=p.stage, reason=p.reason) for p in one.problems],
    )  # fmt: skip


@router.get("/jobs/{job_id}/pictures/{image_id}/near")
def near(
    request: Request,
    here: ServicesDep,
    found: SeenJob,
    image_id: int,
    most: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[NearOut]:
    """Pictures of the job that look like this one, the nearest first. Compares with all of them."""
    with here.catalog.read() as connection:
        twins = near_twins(connection, found.job.id, image_id, most=most, stop=until_gone(request))
    return [NearOut(distance=away, picture=tile_out(tile)) for away, tile in twins]


@router.get("/jobs/{job_id}/pictures/{image_id}/view", response_class=Response, responses=JPEG)
def view(
    request: Request,
    here: ServicesDep,
    found: SeenJob,
    image_id: int,
    side: Annotated[int, Query(ge=_LEAST_SIDE, le=20_000, description="pixels")] = 1600,
) -> Response:
    """The picture upright as JPEG, its longer side at most `side` (the server knows a most)."""
    side = min(side, here.options.max_side)
    with here.catalog.read() as connection:
        one = content(connection, found.job.id, image_id)
    headers = {"cache-control": FOREVER, "etag": f'"{one.sha256.hex()}-{side}"'}
    if unchanged(request, headers["etag"]):
        return Response(status_code=304, headers=headers)
    data = _rendered(here, found.job.source, one, side)
    return Response(data, media_type="image/jpeg", headers=headers)


def _rendered(here: Services, source: bytes, one: Content, side: int) -> bytes:
    """From the first paths at which the content still stands."""
    reason: ReadError | PictureError = ReadError("the job knows no path of this picture any more")
    for path in one.paths[:_MOST_TRIES]:
        try:
            return here.renderer.view(source, path, one.sha256, side)
        except ReadError as error:
            reason = error
    raise reason


@router.get("/jobs/{job_id}/pictures/{image_id}/original", response_class=Response, responses=_FILE)
def download(here: ServicesDep, found: SeenJob, image_id: int) -> Response:
    """The evidence file itself, as a download under its own name; never shown in place.

    Ends early, short of the length it said, when the file turns out not to be what was scanned.
    """
    with here.catalog.read() as connection:
        one = content(connection, found.job.id, image_id)
    path, pieces = original(found.job.source, one)
    headers = {
        "content-disposition": disposition(path),
        "content-length": str(one.size),
        "content-security-policy": SANDBOX,
        "cache-control": "private, no-store",
    }
    return StreamingResponse(pieces, media_type=media_type(one.mime), headers=headers)
