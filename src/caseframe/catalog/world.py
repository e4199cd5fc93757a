"""Where pictures were taken: clusters for a map, for whatever part of it is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, cast, func, literal_column, select

from caseframe.catalog.gallery import gallery_of, image_of
from caseframe.catalog.gallery_tables import tiles
from caseframe.catalog.matching import fitting
from caseframe.catalog.search.choices import Area, GalleryQuery, plan_of, within
from caseframe.catalog.search.plan import Plan
from caseframe.domain.errors import UsageError

MOST_ZOOM = 20
MOST_CLUSTERS = 1000
_ACROSS = 8  # cells of one cluster each, across a map tile of 256 pixels
_WORLD = Area(-90.0, -180.0, 90.0, 180.0)
_ALL = GalleryQuery()


@dataclass(frozen=True, slots=True)
class Cluster:
    """Pictures near each other: how many, their centre in degrees, and one of them."""

    count: int
    latitude: float
    longitude: float
    image_id: int


def map_clusters(
    connection: Connection,
    job_id: str,
    query: GalleryQuery = _ALL,
    bounds: Area = _WORLD,
    zoom: int = 2,
) -> list[Cluster]:
    """The clusters within `bounds` at a zoom of web maps (0 to 20), the largest first.

    Cells are squares of 360 / 2^zoom / 8 degrees; `bounds` may cross the 180th meridian. At most
    `MOST_CLUSTERS`. Raises UsageError for another zoom.
    """
    if not 0 <= zoom <= MOST_ZOOM:
        raise UsageError(f"zoom is 0 to {MOST_ZOOM}")
    gallery, wanted = gallery_of(connection, job_id), plan_of(connection, query)
    t = tiles.c
    side = 360.0 / 2**zoom / _ACROSS
    cells = [_cell(t.latitude, 90.0, side), _cell(t.longitude, 180.0, side)]
    count = func.count().label("count")
    columns: list[ColumnElement[Any]] = [
        count, func.avg(t.latitude), func.avg(t.longitude), func.min(t.id),
        cells[0].label("down"), cells[1].label("across"),
    ]  # fmt: skip
    here = Plan((*wanted.checks, within(bounds)))
    if not wanted.checks:  # the index of places will do
        grouped = select(*columns).where(t.gallery == gallery, t.latitude.is_not(None))
        grouped = grouped.where(here.condition)
    else:
        grouped = fitting(connection, gallery, here, columns)
    grouped = grouped.group_by(literal_column("down"), literal_column("across"))
    rows = connection.execute(grouped.order_by(count.desc()).limit(MOST_CLUSTERS))
    return [Cluster(row[0], float(row[1]), float(row[2]), image_of(row[3])) for row in rows]


def _cell(degrees: ColumnElement[Any], zero: float, side: float) -> ColumnElement[Any]:
    # Counted from the edge of the world, so that cutting off the fraction always rounds down.
    return cast(func.floor((degrees + zero) / side), Integer)
