"""What there is to choose from in a gallery: cameras, formats, places, years; and the timeline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Integer, cast, func, literal_column, select

from caseframe.catalog.gallery import gallery_of
from caseframe.catalog.gallery_tables import tallies, tiles
from caseframe.catalog.matching import fitting
from caseframe.catalog.search.choices import GalleryQuery, plan_of

MOST_VALUES = 200
"""Values of one kind that are listed, those with the most pictures."""
_ALL = GalleryQuery()


@dataclass(frozen=True, slots=True)
class Facet:
    """One value to choose and how many pictures have it."""

    value: str
    count: int


@dataclass(frozen=True, slots=True)
class Town:
    """A town of a country and how many pictures were taken there."""

    country: str
    town: str
    count: int


@dataclass(frozen=True, slots=True)
class Facets:
    """Values by how many pictures have them; years in their order."""

    cameras: tuple[Facet, ...] = ()
    formats: tuple[Facet, ...] = ()
    countries: tuple[Facet, ...] = ()
    towns: tuple[Town, ...] = ()
    years: tuple[Facet, ...] = ()


def facets(connection: Connection, job_id: str) -> Facets:
    """All there is to choose from in a job, whatever is chosen already. Raises NotFound."""
    c = tallies.c
    gallery = gallery_of(connection, job_id)
    query = select(c.a, c.b, c.count).where(c.gallery == gallery, c.count > 0)
    rows = {
        topic: connection.execute(
            query.where(c.topic == topic).order_by(c.count.desc(), c.a, c.b).limit(most)
        ).all()
        for topic, most in (("camera", MOST_VALUES), ("format", MOST_VALUES), ("month", 100_000))
    }
    places = connection.execute(query.where(c.topic == "place").order_by(c.count.desc(), c.a, c.b))
    towns = [Town(country, town, count) for country, town, count in places]
    years = _summed((f"{int(month) // 100:04}", count) for month, _, count in rows["month"])
    return Facets(
        cameras=tuple(Facet(a, count) for a, _, count in rows["camera"]),
        formats=tuple(Facet(a, count) for a, _, count in rows["format"]),
        countries=_summed((town.country, town.count) for town in towns)[:MOST_VALUES],
        towns=tuple(town for town in towns if town.town)[:MOST_VALUES],
        years=tuple(sorted(years, key=lambda facet: facet.value)),
    )


def _summed(pairs: Iterable[tuple[str, int]]) -> tuple[Facet, ...]:
    sums: dict[str, int] = {}
    for value, count in pairs:
        sums[value] = sums.get(value, 0) + count
    return tuple(Facet(v, n) for v, n in sorted(sums.items(), key=lambda pair: (-pair[1], pair[0])))


class Unit(StrEnum):
    """How long one bar of the timeline is."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Bucket:
    """One bar: `start` is `2016`, `2016-07` or `2016-07-15`, fit for a search `date:`."""

    start: str
    count: int


MOST_BUCKETS = 4000


def timeline(
    connection: Connection, job_id: str, query: GalleryQuery = _ALL, unit: Unit = Unit.MONTH
) -> list[Bucket]:
    """How many pictures were taken in each year, month or day, in their order; none left empty.

    By the clock where they were taken. At most `MOST_BUCKETS`, the first ones.
    """
    gallery, wanted = gallery_of(connection, job_id), plan_of(connection, query)
    if not wanted.checks and unit is not Unit.DAY:
        c = tallies.c
        months = select(cast(c.a, Integer).label("at"), c.count.label("count")).where(
            c.gallery == gallery, c.topic == "month", c.count > 0
        )
    else:
        size = tiles.c.month if unit is not Unit.DAY else _day()
        months = fitting(
            connection, gallery, wanted, [size.label("at"), func.count().label("count")]
        )
        months = months.where(tiles.c.captured.is_not(None)).group_by(literal_column("at"))
    found: dict[str, int] = {}
    for at, count in connection.execute(months):
        start = _start(int(at), unit)
        found[start] = found.get(start, 0) + count
    return [Bucket(start, count) for start, count in sorted(found.items())][:MOST_BUCKETS]


_DAY = 86_400
_BEFORE = 800_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _day() -> ColumnElement[int]:
    """Days since 1970; counted from long before it, because division rounds to zero."""
    return (tiles.c.captured + _BEFORE * _DAY) // _DAY - _BEFORE


def _start(at: int, unit: Unit) -> str:
    if unit is Unit.DAY:
        return f"{_EPOCH + timedelta(days=at):%Y-%m-%d}".rjust(10, "0")
    return f"{at // 100:04}" if unit is Unit.YEAR else f"{at // 100:04}-{at % 100:02}"
