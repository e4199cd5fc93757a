"""Where pictures were taken: clusters for a map, for whatever part of it is looked at."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, or_, select

from caseframe.catalog import spread
from caseframe.catalog.gallery import gallery_of
from caseframe.catalog.gallery_tables import cells, tiles
from caseframe.catalog.parts import MOST_LOOKED_AT, Asked, Part, all_of, part
from caseframe.catalog.search.choices import Area, GalleryQuery, plan_of, within
from caseframe.catalog.search.plan import Plan
from caseframe.catalog.spread import MOST_ZOOM, TURN, UNITS, ZOOMS
from caseframe.domain.errors import UsageError

MOST_CELLS = 4096
"""Cells that one answer may have; where more would be looked at, they are made larger."""
_WORLD = Area(-90.0, -180.0, 90.0, 180.0)
_ALL = GalleryQuery()


@dataclass(frozen=True, slots=True)
class Cluster:
    """The pictures of one cell: how many, their centre in degrees, and the cell's numbers."""

    count: int
    latitude: float
    longitude: float
    down: int
    across: int


@dataclass(frozen=True, slots=True)
class Clusters:
    """A part of the clusters of a map, the largest first, and where the next part goes on.

    `bounds` and `zoom` say what was counted: the bounds that were asked for, widened to whole
    cells, so that a gallery of this area has just these pictures. The same cell may stand in
    several parts; counts are to be added. With `next` None this was the last part.
    """

    bounds: Area
    zoom: int
    clusters: tuple[Cluster, ...] = ()
    next: int | None = None


def map_clusters(
    connection: Connection,
    job_id: str,
    query: GalleryQuery = _ALL,
    bounds: Area = _WORLD,
    zoom: int = 2,
    *,
    after: int | None = None,
) -> Clusters:
    """The clusters within `bounds` at a zoom of web maps (0 to 20), in cells of 360 / 2^zoom / 8°.

    Where that would be more than `MOST_CELLS`, at the next lower zoom at which it is not. `bounds`
    may cross the 180th meridian. `after` is the `next` of the part before. Exact, and each part
    takes about as long however many pictures there are. Raises UsageError for another zoom.
    """
    if not 0 <= zoom <= MOST_ZOOM:
        raise UsageError(f"zoom is 0 to {MOST_ZOOM}")
    gallery, wanted = gallery_of(connection, job_id), plan_of(connection, query)
    frame = _frame(bounds, zoom)
    known = _counted(connection, gallery, frame)
    found = Part()
    if not wanted.checks:
        found = known
    elif known.sums:
        asked = _asked(frame, wanted)
        number = sum(count for count, *_ in known.sums.values())
        if number <= MOST_LOOKED_AT:
            found = all_of(connection, asked, _near(gallery, frame))
        else:
            found = part(connection, gallery, asked, after)
    clusters = sorted((_cluster(key, sums) for key, sums in found.sums.items()),
                      key=lambda one: (-one.count, one.down, one.across))  # fmt: skip
    return Clusters(frame.area, frame.zoom, tuple(clusters), found.next)


# ---- which cells ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Frame:
    """Cells of a zoom: rows of them, and one or two spans of columns."""

    zoom: int
    down: range
    across: tuple[range, ...]

    @property
    def area(self) -> Area:
        """Just what lies in these cells, in degrees."""
        south, north = _edges(self.down, self.zoom, 90)
        west, _ = _edges(self.across[0], self.zoom, 180)
        _, east = _edges(self.across[-1], self.zoom, 180)
        return Area(south, west, north, east)


def _edges(numbers: range, zoom: int, zero: int) -> tuple[float, float]:
    # Half a unit before the first one, which is where rounding to units begins.
    first = spread.first_unit(numbers.start, zoom) - 0.5
    last = spread.first_unit(numbers.stop, zoom) - 0.5
    return max(first / UNITS - zero, -zero), min(last / UNITS - zero, zero)


def _frame(bounds: Area, zoom: int) -> _Frame:
    """The cells that the bounds touch, at the zoom or the next lower one where they are few."""
    down = _numbers(max(bounds.south, -90.0), min(bounds.north, 90.0), 90, zoom)
    west, east = max(bounds.west, -180.0), min(bounds.east, 180.0)
    if west <= east:
        across = [_numbers(west, east, 180, zoom)]
    else:
        across = [_numbers(west, 180.0, 180, zoom), _numbers(-180.0, east, 180, zoom)]
        if across[1].stop >= across[0].start:
            across = [_numbers(-180.0, 180.0, 180, zoom)]
    if zoom and len(down) * sum(map(len, across)) > MOST_CELLS:
        return _frame(bounds, zoom - 1)
    return _Frame(zoom, down, tuple(across))


def _numbers(least: float, most: float, zero: int, zoom: int) -> range:
    first, last = (min(max(round((d + zero) * UNITS), 0), TURN) for d in (least, most))
    return range(spread.cell(first, zoom), spread.cell(last, zoom) + 1)


# ---- what lies in them ----------------------------------------------------------------------


def _counted(connection: Connection, gallery: int, frame: _Frame) -> Part:
    """What lies in the cells, from the counts of the next finer ones."""
    kept = next(zoom for zoom in ZOOMS if zoom >= frame.zoom)
    finer = kept - frame.zoom
    c = cells.c
    bits: ColumnElement[int] = literal_column(str(finer))
    down, across = c.down.op(">>")(bits), c.across.op(">>")(bits)
    query = select(down, across, func.sum(c.count), func.sum(c.north), func.sum(c.east)).where(
        c.gallery == gallery, c.zoom == kept, c.count > 0,
        c.down >= frame.down.start << finer, c.down < frame.down.stop << finer,
        or_(*(c.across.between(s.start << finer, (s.stop << finer) - 1) for s in frame.across)),
    )  # fmt: skip
    found = Part()
    for row in connection.execute(query.group_by(down, across)):
        found.add((row[0], row[1]), [int(value) for value in row[2:]])
    return found


def _asked(frame: _Frame, plan: Plan) -> Asked:
    """The same of the tiles for which a plan holds; what lies elsewhere counts as no part of it."""
    north, east = spread.north_of("tiles.latitude"), spread.east_of("tiles.longitude")
    keys = spread.cell_of(north, frame.zoom), spread.cell_of(east, frame.zoom)
    return Asked(keys, ("1", north, east), Plan((*plan.checks, within(frame.area))))


def _near(gallery: int, frame: _Frame) -> Select[tuple[int]]:
    """The tiles of an area, by the index of places."""
    here = tiles.c.gallery == gallery, tiles.c.latitude.is_not(None)
    return select(tiles.c.id).where(*here, within(frame.area).condition)


def _cluster(key: tuple[int, ...], sums: list[int]) -> Cluster:
    count, north, east = sums
    return Cluster(count, north / count / UNITS - 90, east / count / UNITS - 180, *key)
