"""When pictures were taken: how many in each year, month or day."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, Integer, cast, select

from caseframe.catalog import spread
from caseframe.catalog.gallery import gallery_of
from caseframe.catalog.gallery_tables import tallies
from caseframe.catalog.parts import Asked, part
from caseframe.catalog.search.choices import GalleryQuery, plan_of
from caseframe.catalog.search.plan import Plan
from caseframe.catalog.spread import DAY_SECONDS, FIRST_DAY, LAST_DAY

MOST_DAYS = 2000
"""Days in one answer where nothing is asked but when; as many as five years have."""
_ALL = GalleryQuery()


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


@dataclass(frozen=True, slots=True)
class Timeline:
    """A part of the timeline: bars in their order, none empty, and where the next part goes on.

    The same bar may stand in several parts; its counts are to be added. With `next` None this was
    the last part.
    """

    buckets: tuple[Bucket, ...] = ()
    next: int | None = None


def timeline(
    connection: Connection,
    job_id: str,
    query: GalleryQuery = _ALL,
    unit: Unit = Unit.MONTH,
    *,
    after: int | None = None,
) -> Timeline:
    """How many pictures were taken in each year, month or day, by the clock where they were taken.

    `after` is the `next` of the part before. Exact, and each part takes about as long however many
    pictures there are. Raises NotFound, UsageError for a query that cannot be read.
    """
    gallery, wanted = gallery_of(connection, job_id), plan_of(connection, query)
    days = _days(wanted)
    if days is None:
        at = spread.day_of("tiles.captured") if unit is Unit.DAY else "tiles.month"
        found = part(connection, gallery, Asked((at,), ("1",), wanted), after)
        times = [(int(key), count) for (key,), (count,) in found.sums.items()]
        return Timeline(_buckets(times, unit), found.next)
    if unit is not Unit.DAY and not wanted.checks:
        return Timeline(_buckets(_months(connection, gallery), unit))
    return _by_day(connection, gallery, unit, days, after)


def _days(plan: Plan) -> tuple[int, int] | None:
    """The first and the last day since 1970 where dates are all that is asked for."""
    if any(check.bound is None or check.bound.column != "captured" for check in plan.checks):
        return None
    bound = plan.bound("captured")
    if bound is None:
        return FIRST_DAY, LAST_DAY
    least, most = bound.least // DAY_SECONDS, bound.most // DAY_SECONDS
    return max(least, FIRST_DAY), min(most, LAST_DAY)


def _months(connection: Connection, gallery: int) -> list[tuple[int, int]]:
    c = tallies.c
    query = select(cast(c.a, Integer), c.count)
    rows = connection.execute(query.where(c.gallery == gallery, c.topic == "month", c.count > 0))
    return [(month, count) for month, count in rows]


def _by_day(
    connection: Connection, gallery: int, unit: Unit, days: tuple[int, int], after: int | None
) -> Timeline:
    c = tallies.c
    first = days[0] if after is None else max(days[0], after + 1)
    query = select(c.a, c.count).where(
        c.gallery == gallery, c.topic == "day", c.count > 0,
        c.a >= spread.day_key(first), c.a <= spread.day_key(days[1]),
    )  # fmt: skip
    rows = connection.execute(query.order_by(c.a).limit(MOST_DAYS + 1)).all()
    following = spread.days_of(rows[MOST_DAYS - 1][0]) if len(rows) > MOST_DAYS else None
    times = [(int(key), count) for key, count in rows[:MOST_DAYS]]
    if unit is not Unit.DAY:
        times = [(_month(key), count) for key, count in times]
    return Timeline(_buckets(times, unit), following)


def _month(key: int) -> int:
    day = spread.date_of(key)
    return day.year * 100 + day.month


def _buckets(times: list[tuple[int, int]], unit: Unit) -> tuple[Bucket, ...]:
    """Bars from (day as `spread.day_of` has it, or 201607) and counts."""
    found: dict[str, int] = {}
    for at, count in times:
        start = _start(at, unit)
        found[start] = found.get(start, 0) + count
    return tuple(Bucket(start, count) for start, count in sorted(found.items()))


def _start(at: int, unit: Unit) -> str:
    if unit is Unit.DAY:
        return spread.date_of(at).isoformat()
    return f"{at // 100:04}" if unit is Unit.YEAR else f"{at // 100:04}-{at % 100:02}"
