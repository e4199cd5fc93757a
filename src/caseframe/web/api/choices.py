"""What there is to choose from in a job: cameras, formats, places, times; the map, the timeline."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from caseframe.catalog import facets as stored
from caseframe.catalog import timeline as times
from caseframe.catalog.facets import Facet
from caseframe.catalog.gallery_tables import IMAGE_BITS
from caseframe.catalog.search.choices import Area
from caseframe.catalog.spread import MOST_ZOOM
from caseframe.catalog.timeline import Unit
from caseframe.catalog.world import map_clusters
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


class TimelineOut(BaseModel):
    """Bars in their order. While `next` is not null, `after=next` brings more to add to them."""

    buckets: list[BucketOut]
    next: int | None


class ClusterOut(BaseModel):
    """The pictures of one cell: how many, their centre in degrees, the numbers of the cell."""

    count: int
    latitude: float
    longitude: float
    down: int
    across: int


class MapOut(BaseModel):
    """Clusters of the whole cells within `bounds` (south,west,north,east), the largest first.

    While `next` is not null, `after=next` brings more: counts of a cell that comes again add up.
    """

    bounds: str
    zoom: int
    clusters: list[ClusterOut]
    next: int | None


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


After = Annotated[
    int | None, Query(ge=0, lt=1 << IMAGE_BITS, description="`next` of the part before")
]


@router.get("/jobs/{job_id}/pictures/timeline")
def timeline(
    here: ServicesDep,
    found: SeenJob,
    query: Chosen,
    unit: Unit = Unit.MONTH,
    after: After = None,
) -> TimelineOut:
    """How many pictures were taken when, by the clocks of their cameras; empty times left out.

    Exact, in parts: to look at a million pictures takes a while.
    """
    with here.catalog.read() as connection:
        known = times.timeline(connection, found.job.id, query, unit, after=after)
    bars = [BucketOut(start=bucket.start, count=bucket.count) for bucket in known.buckets]
    return TimelineOut(buckets=bars, next=known.next)


@router.get("/jobs/{job_id}/pictures/map")
def world(
    here: ServicesDep,
    found: SeenJob,
    query: Chosen,
    bounds: Annotated[
        str | None, Query(max_length=100, description="south,west,north,east in degrees")
    ] = None,
    zoom: Annotated[int, Query(ge=0, le=MOST_ZOOM)] = 2,
    after: After = None,
) -> MapOut:
    """Where pictures were taken, in clusters as wide as an eighth of a map tile at that zoom.

    At a lower zoom where that would be more than 4,096 cells. Exact, in parts.
    """
    within = _WORLD if bounds is None else area_of(bounds)
    with here.catalog.read() as connection:
        known = map_clusters(connection, found.job.id, query, within, zoom, after=after)
    area = known.bounds
    clusters = [
        ClusterOut(count=c.count, latitude=c.latitude, longitude=c.longitude, down=c.down,
                   across=c.across)
        for c in known.clusters
    ]  # fmt: skip
    edges = (area.south, area.west, area.north, area.east)
    return MapOut(bounds=",".join(f"{one:.8f}" for one in edges), zoom=known.zoom,
                  clusters=clusters, next=known.next)  # fmt: skip
