"""The next places of an order from what the word index gives, in three ways (see walk.py)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, literal_column, or_, select

from caseframe.catalog.gallery_tables import tiles
from caseframe.catalog.matching import Extent, checked, ids_of, listed, matching, these
from caseframe.catalog.order import Place, SortKey
from caseframe.catalog.search.candidates import Candidates
from caseframe.catalog.way import Way, behind, places, segments, within


def gather(
    connection: Connection,
    way: Way,
    start: Place | None,
    limit: int,
    among: Candidates | Extent | None,
    end: Place | None = None,
) -> list[Place]:
    """The next places up to `end` among candidates or ids (all tiles for None), sorted."""
    key = way.sort.column
    first = literal_column("NULL") if key is None else key
    query: Select[Any] = select(first.label("key"), tiles.c.id)
    plan = way.plan
    if among is None:
        least, last = ids_of(way.gallery)
        query = query.where(tiles.c.id.between(least, last))
    else:
        plan = plan.unproven
        if isinstance(among, Extent):
            query = query.where(tiles.c.id.in_(these(connection, among)))
        else:
            found = matching(connection, way.gallery, among, -1)
            query = query.join(found, found.c.id == tiles.c.id)
    query = _in_order(checked(query, plan), way, start)
    if end is not None:
        query = query.where(behind(way, end, including=True))
    return places(connection, query.limit(limit))


def probe(
    connection: Connection, way: Way, start: Place | None, limit: int, candidates: Candidates
) -> list[Place]:
    """The next places among very many candidates.

    The order's index is walked, and each entry looked up in the set of the candidates, without
    touching the rows in between.
    """
    found: list[Place] = []
    known: Any = listed(connection, candidates, *ids_of(way.gallery))
    if connection.dialect.name == "postgresql":
        known = select(known.cte("found").prefix_with("MATERIALIZED").c.id)
    for keyed in segments(way, start):
        query = within(way, keyed, start)
        # Said so that neither database begins with the set and sorts what it leads to.
        member = (tiles.c.id + 0).in_(known).is_not(False)
        query = checked(query.where(member), way.plan.unproven)
        found += places(connection, query.limit(limit - len(found)))
        if len(found) >= limit:
            break
    return found


def stream(
    connection: Connection, way: Way, start: Place | None, limit: int, candidates: Candidates
) -> list[Place]:
    """The next places in the order of ids, as SQLite's word index gives them."""
    least, last = ids_of(way.gallery)
    if start is not None and way.falling:
        last = start.id - 1
    elif start is not None:
        least = start.id + 1
    plan = way.plan.unproven
    ids = listed(connection, candidates, least, last).subquery("found")
    query: Select[Any] = select(ids.c.id)
    if plan.checks:  # a sum, or SQLite walks all tiles and asks the word index for each
        query = checked(query.join(tiles, tiles.c.id == ids.c.id + 0), plan)
    query = query.order_by(ids.c.id.desc() if way.falling else ids.c.id.asc())
    return [Place(None, number) for number in connection.scalars(query.limit(limit))]


def _in_order(query: Select[Any], way: Way, start: Place | None) -> Select[Any]:
    """All segments of an order at once, behind `start`."""
    key, number = way.sort.column, tiles.c.id
    ids = number.desc() if way.falling else number.asc()
    if start is not None:
        query = query.where(_behind_in_all(way, start))
    if key is None:  # a sum, or SQLite walks all tiles by id instead of the few candidates
        return query.order_by((number + 0).desc() if way.falling else (number + 0).asc())
    empty = key.is_(None)
    return query.order_by(
        empty.desc() if way.back else empty.asc(), key.desc() if way.falling else key.asc(), ids
    )


def _behind_in_all(way: Way, start: Place) -> ColumnElement[bool]:
    key = way.sort.column
    here = behind(way, start)
    if way.sort.key is not SortKey.CAPTURED or key is None:
        return here
    if start.key is None:
        return or_(key.is_not(None), here) if way.back else and_(key.is_(None), here)
    return here if way.back else or_(here, key.is_(None))
