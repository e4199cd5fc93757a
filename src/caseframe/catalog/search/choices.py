"""What a gallery is narrowed to: what was typed, and the exact choices made beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from sqlalchemy import Connection, or_

from caseframe.catalog.gallery_tables import tiles
from caseframe.catalog.search.candidates import Both, Lexeme
from caseframe.catalog.search.document import CHOICES, MARK
from caseframe.catalog.search.language import parse
from caseframe.catalog.search.plan import Check, Condition, Plan, plan
from caseframe.catalog.search.words import words
from caseframe.domain.errors import UsageError
from caseframe.domain.text import storable


@dataclass(frozen=True, slots=True)
class Area:
    """Degrees; `west` greater than `east` crosses the 180th meridian."""

    south: float
    west: float
    north: float
    east: float

    def __post_init__(self) -> None:
        edges = (self.south, self.west, self.north, self.east)
        if not all(map(isfinite, edges)) or self.south > self.north:
            raise UsageError("an area is south, west, north, east in degrees, such as 45,5,47,8")


@dataclass(frozen=True, slots=True)
class GalleryQuery:
    """The words typed (docs/search.md), one camera, country or town exactly, and an area.

    `fields` are those whose words can be asked for beside the ones that every case has.
    """

    text: str = ""
    camera: str | None = None
    country: str | None = None
    town: str | None = None
    area: Area | None = None
    fields: frozenset[str] = frozenset()


def plan_of(connection: Connection, query: GalleryQuery) -> Plan:
    """How to look for what the query says. Raises UsageError when it cannot be read."""
    typed = plan(parse(query.text, query.fields), connection.dialect.name).checks
    return Plan((*typed, *_chosen(query)))


def _chosen(query: GalleryQuery) -> Iterator[Check]:
    for column, field in CHOICES.items():
        value: str | None = getattr(query, column)
        if value is not None:
            lexemes = tuple(Lexeme(f"{field}{MARK}{word}") for word in words(value))
            yield Check(tiles.c[column] == storable(value), Both(lexemes) if lexemes else None)
    if query.area is not None:
        yield within(query.area)


def within(area: Area) -> Check:
    """That a picture was taken in an area."""
    c = tiles.c
    across: Condition = c.longitude.between(area.west, area.east)
    if area.west > area.east:
        across = or_(c.longitude >= area.west, c.longitude <= area.east)
    condition = c.latitude.between(area.south, area.north) & across
    return Check(condition, Lexeme(f"has{MARK}place"))
