"""What there is to choose from in a job: cameras, formats, places, times; the map, the timeline."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from caseframe.catalog import facets as stored
from caseframe.catalog.facets import Facet, Unit
from caseframe.catalog.search.choices import Area
from caseframe.catalog.world import MOST_ZOOM, map_clusters
from caseframe.web.deps import SeenJob, ServicesDep
from caseframe.web.gallery import Chosen, area_of

router = APIRouter(prefix="/api/v1", tags=["pictures"])
_WORLD = Area(-90.0, -180.0, 90.0, 180.0)


class FacetOut(BaseModel):
    """One value to choose and how many pictures have it."""

    value: str
    count: int


class TownOut(BaseModel):
    """A town of a country and how many pictures were taken there."""

    country: str
    town: str
    count: int


class FacetsOut(BaseModel):
    """Values by how many pictures have them, at most 200 of each kind; years in their order."""

    cameras: list[FacetOut]
    formats: list[FacetOut]
    countries: list[FacetOut]
    towns: list[TownOut]
    years: list[FacetOut]


class BucketOut(BaseModel):
    """One bar: `start` is 2016, 2016-07 or 2016-07-15, as a search takes it after `date:`."""

    start: str
    count: int


class ClusterOut(BaseModel):
    """Pictures near each other: how many, their centre in degrees, the id of one of them."""

    count: int
    latitude: float
    longitude: float
    image: int


def _facets(values: tuple[Facet, ...]) -> list[FacetOut]:
    return [FacetOut(value=one.value, count=one.count) for one in values]


@router.get("/jobs/{job_id}/pictures/facets")
def facets(here: ServicesDep, found: SeenJob) -> FacetsOut:
    """All there is to choose from in a job, whatever is chosen already."""
    with here.catalog.read() as connection:
        known = stored.facets(connection, found.job.id)
    towns = [TownOut(country=t.country, town=t.town, count=t.count) for t in known.towns]
    return FacetsOut(
        cameras=_facets(known.cameras), formats=_facets(known.formats),
        countries=_facets(known.countries), towns=towns, years=_facets(known.years),
    )  # fmt: skip


@router.get("/jobs/{job_id}/pictures/timeline")
def timeline(
    here: ServicesDep, found: SeenJob, query: Chosen, unit: Unit = Unit.MONTH
) -> list[BucketOut]:
    """How many pictures were taken when, by the clocks of their cameras; empty times left out."""
    with here.catalog.read() as connection:
        buckets = stored.timeline(connection, found.job.id, query, unit)
    return [BucketOut(start=bucket.start, count=bucket.count) for bucket in buckets]


@router.get("/jobs/{job_id}/pictures/map")
def world(
    here: ServicesDep,
    found: SeenJob,
    query: Chosen,
    bounds: Annotated[
        str | None, Query(max_length=100, description="south,west,north,east in degrees")
    ] = None,
    zoom: Annotated[int, Query(ge=0, le=MOST_ZOOM)] = 2,
) -> list[ClusterOut]:
    """Where pictures were taken, in clusters as wide as an eighth of a map tile at that zoom."""
    within = _WORLD if bounds is None else area_of(bounds)
    with here.catalog.read() as connection:
        clusters = map_clusters(connection, found.job.id, query, within, zoom)
    return [
        ClusterOut(count=c.count, latitude=c.latitude, longitude=c.longitude, image=c.image_id)
        for c in clusters
    ]
