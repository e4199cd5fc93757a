"""What there is to choose from in a gallery: cameras, formats, places, years."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from caseframe.catalog.gallery import gallery_of
from caseframe.catalog.gallery_tables import tallies

MOST_VALUES = 200
"""Values of one kind that are listed, those with the most pictures."""


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
