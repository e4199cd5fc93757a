"""The way through an order: its parts, what lies behind a place, and places as rows give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, literal_column, select, tuple_

from caseframe.catalog.gallery_tables import tiles
from caseframe.catalog.matching import ids_of
from caseframe.catalog.order import Place, Sort, SortKey
from caseframe.catalog.search.plan import Condition, Plan


@dataclass(frozen=True, slots=True)
class Way:
    """Which gallery to go through, in which order, forwards or back, for what."""

    gallery: int
    sort: Sort
    plan: Plan
    back: bool = False

    @property
    def falling(self) -> bool:
        """Whether keys fall on the way."""
        return self.sort.descending != self.back


def segments(way: Way, start: Place | None) -> list[bool]:
    """The parts of the order from `start` on: tiles with a key (True), then those without."""
    if way.sort.key is not SortKey.CAPTURED:
        return [True]
    if way.plan.bound(way.sort.key) is not None:  # what has no key fits none
        return [True] if start is None or start.key is not None or way.back else []
    parts = [False, True] if way.back else [True, False]
    in_last = start is not None and (start.key is None) == (not way.back)
    return parts[1:] if in_last else parts


def within(
    way: Way, keyed: bool, start: Place | None = None, end: Place | None = None
) -> Select[Any]:
    """Places of one segment in order, behind `start` and up to `end` where these lie in it.

    With one condition for either side: of two, databases may choose the worse to begin at.
    """
    c, key = tiles.c, way.sort.column
    number = c.id.desc() if way.falling else c.id.asc()
    if start is not None and has_key(way, start) != keyed:
        start = None
    if end is not None and has_key(way, end) != keyed:
        end = None
    near, far = _edges(way, keyed)
    if start is not None and not _outside(way, start):
        near = behind(way, start)
    if end is not None:
        far = behind(way, end, including=True)
    query = select((literal_column("NULL") if key is None else key).label("key"), c.id)
    if key is not None:
        query = query.where(c.gallery == way.gallery)
    if way.sort.key is SortKey.CAPTURED:
        query = query.where(key.is_not(None) if keyed else key.is_(None))  # type: ignore[union-attr]
    for condition in (near, far):
        if condition is not None:
            query = query.where(condition)
    if key is None or not keyed:
        return query.order_by(number)
    return query.order_by(key.desc() if way.falling else key.asc(), number)


def _edges(way: Way, keyed: bool) -> tuple[Condition | None, Condition | None]:
    """Where a segment begins and ends on the way, as conditions; None where nothing bounds it."""
    column = tiles.c.id if way.sort.column is None else way.sort.column
    if way.sort.column is None:
        least, most = ids_of(way.gallery)
    elif keyed and (bound := way.plan.bound(way.sort.key)) is not None:
        least, most = bound.least, bound.most
    else:
        return None, None
    edges = column >= least, column <= most
    return edges[::-1] if way.falling else edges


def _outside(way: Way, start: Place) -> bool:
    """Whether a place lies before the bounds of the key, so that these say where to begin."""
    bound = way.plan.bound(way.sort.key)
    if bound is None or not isinstance(start.key, int):
        return False
    return start.key > bound.most if way.falling else start.key < bound.least


def behind(way: Way, place: Place, *, including: bool = False) -> ColumnElement[bool]:
    """Behind a place, in its segment; `including` turns it round: up to the place."""
    c, key = tiles.c, way.sort.column
    if key is None or place.key is None:
        left: Any = c.id
        right: Any = place.id
    else:
        left, right = tuple_(key, c.id), tuple_(place.key, place.id)
    if including:
        return left >= right if way.falling else left <= right  # type: ignore[no-any-return]
    return left < right if way.falling else left > right  # type: ignore[no-any-return]


def has_key(way: Way, place: Place) -> bool:
    """Whether a place lies in the part of the order where tiles have a key."""
    return way.sort.key is not SortKey.CAPTURED or place.key is not None


def places(connection: Connection, query: Select[Any]) -> list[Place]:
    """The places that a query of keys and ids gives."""
    return [_place(key, number) for key, number in connection.execute(query)]


def _place(key: Any, number: int) -> Place:
    return Place(bytes(key) if isinstance(key, bytes | memoryview) else key, number)
