"""Finding the next tiles of a gallery in an order, for which a plan holds.

*Walking* the index of the order, checking tile by tile, is quick where many tiles fit. *Gathering*
all that fit by the word index, then sorting them, is quick where few do. Between the two, or where
what fits lies far off, the order's index is walked and each entry *probed* against the set of what
the word index gave. Nobody knows beforehand which it is: whether the candidates are at most
`_MOST_GATHERED` is asked, and a short walk is tried, before the probing. So neither a word that is
in half a million documents nor one that is in three makes anybody read or sort a million rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)

from caseframe.catalog.gallery_tables import tiles
from caseframe.catalog.matching import checked, ids_of, matching
from caseframe.catalog.order import Place, Sort, SortKey
from caseframe.catalog.search.plan import Candidates, Condition, Plan
from caseframe.domain.errors import Stopped

_FIRST_STEPS = 1000
_LONGEST_WALK = 4000
_LONGEST_STRIDE = 32_000
_MOST_GATHERED = 2000


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


def never() -> bool:
    """The answer of a search that nobody stops."""
    return False


def find(
    connection: Connection,
    way: Way,
    start: Place | None,
    limit: int,
    stop: Callable[[], bool] = never,
) -> list[Place]:
    """The next `limit` places behind `start` (from the beginning without one).

    Raises Stopped when `stop` says so between two steps.
    """
    if not way.plan.checks:
        return _walk(connection, way, start, None, limit)
    if way.plan.few:
        return _sorted(connection, way, start, limit, None)
    candidates = way.plan.candidates
    few: bool | None = None
    if candidates is not None and connection.dialect.name == "sqlite":
        # SQLite's index gives the first documents of a word without looking at the others.
        few = _are_few(connection, way, candidates)
        if few:
            return _sorted(connection, way, start, limit, candidates)
    end = _after(connection, way, start, _FIRST_STEPS)
    found = _walk(connection, way, start, end, limit)
    if end is None or len(found) >= limit:
        return found
    rest = limit - len(found)
    if candidates is None:
        return found + _stride(connection, way, end, rest, stop)
    likely = rest * _FIRST_STEPS // max(len(found), 1)
    if found and likely <= _LONGEST_WALK + 5 * rest:  # so frequent that walking on is quickest
        at, end = end, _after(connection, way, end, 2 * likely)
        found += _walk(connection, way, at, end, rest)
        if end is None or len(found) >= limit:
            return found
        rest = limit - len(found)
    if few is None and _are_few(connection, way, candidates):
        return found + _sorted(connection, way, end, rest, candidates)
    return found + _probe(connection, way, end, rest, candidates)


def _are_few(connection: Connection, way: Way, candidates: Candidates) -> bool:
    found = matching(connection, way.gallery, candidates, _MOST_GATHERED + 1)
    count = connection.scalar(select(func.count()).select_from(found)) or 0
    return count <= _MOST_GATHERED


def _stride(
    connection: Connection, way: Way, at: Place, limit: int, stop: Callable[[], bool]
) -> list[Place]:
    """Walk on in steps that grow, where no index knows anything."""
    found: list[Place] = []
    stride = _FIRST_STEPS
    while True:
        if stop():
            raise Stopped
        stride = min(stride * 4, _LONGEST_STRIDE)
        end = _after(connection, way, at, stride)
        found += _walk(connection, way, at, end, limit - len(found))
        if end is None or len(found) >= limit:
            return found
        at = end


# ---- walking --------------------------------------------------------------------------------


def _segments(way: Way, start: Place | None) -> list[bool]:
    """The parts of the order from `start` on: tiles with a key (True), then those without."""
    if way.sort.key is not SortKey.CAPTURED:
        return [True]
    parts = [False, True] if way.back else [True, False]
    in_last = start is not None and (start.key is None) == (not way.back)
    return parts[1:] if in_last else parts


def _within(
    way: Way, keyed: bool, start: Place | None = None, end: Place | None = None
) -> Select[Any]:
    """Places of one segment in order, behind `start` and up to `end` where these lie in it.

    With one condition for either side: of two, databases may choose the worse to begin at.
    """
    c, key = tiles.c, way.sort.column
    number = c.id.desc() if way.falling else c.id.asc()
    if start is not None and _keyed(way, start) != keyed:
        start = None
    if end is not None and _keyed(way, end) != keyed:
        end = None
    near, far = _edges(way, keyed)
    if start is not None and not _outside(way, start):
        near = _behind(way, start)
    if end is not None:
        far = _behind(way, end, including=True)
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


def _behind(way: Way, place: Place, *, including: bool = False) -> ColumnElement[bool]:
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


def _keyed(way: Way, place: Place) -> bool:
    return way.sort.key is not SortKey.CAPTURED or place.key is not None


def _walk(
    connection: Connection, way: Way, start: Place | None, end: Place | None, limit: int
) -> list[Place]:
    """At most `limit` places that fit, behind `start` and up to `end`."""
    found: list[Place] = []
    for keyed in _segments(way, start):
        query = _within(way, keyed, start, end)
        last = end is not None and _keyed(way, end) == keyed
        query = checked(query, way.plan).limit(limit - len(found))
        found += _places(connection, query)
        if last or len(found) >= limit:
            break
    return found


def steps(
    connection: Connection, way: Way, every: int, stop: Callable[[], bool]
) -> Iterator[Place]:
    """Every `every`-th place of a way. Raises Stopped when `stop` says so."""
    at: Place | None = None
    while True:
        if stop():
            raise Stopped
        if way.plan.checks:
            places = find(connection, way, at, every, stop)
            at = places[-1] if len(places) == every else None
        else:
            at = _after(connection, way, at, every)
        if at is None:
            return
        yield at


def _after(connection: Connection, way: Way, start: Place | None, steps: int) -> Place | None:
    """The place `steps` steps on, whatever stands there; None beyond the end.

    A bounded skip over index entries; what it saves is a window that the check cannot leave.
    """
    left = steps
    for keyed in _segments(way, start):
        query = _within(way, keyed, start)
        found = _places(connection, query.offset(left - 1).limit(1))
        if found:
            return found[0]
        if way.sort.key is SortKey.CAPTURED:
            rest = query.order_by(None).limit(left).subquery()
            left -= connection.scalar(select(func.count()).select_from(rest)) or 0
    return None


def _places(connection: Connection, query: Select[Any]) -> list[Place]:
    return [_place(key, number) for key, number in connection.execute(query)]


def _place(key: Any, number: int) -> Place:
    return Place(bytes(key) if isinstance(key, bytes | memoryview) else key, number)


# ---- gathering ------------------------------------------------------------------------------


def _sorted(
    connection: Connection,
    way: Way,
    start: Place | None,
    limit: int,
    candidates: Candidates | None,
) -> list[Place]:
    """The next places among the candidates (all tiles for None), sorted."""
    key = way.sort.column
    first = literal_column("NULL") if key is None else key
    query: Select[Any] = select(first.label("key"), tiles.c.id)
    plan = way.plan
    if candidates is None:
        least, last = ids_of(way.gallery)
        query = query.where(tiles.c.id.between(least, last))
    else:
        found = matching(connection, way.gallery, candidates, -1)
        query = query.join(found, found.c.id == tiles.c.id)
        plan = plan.unproven
    query = _in_order(checked(query, plan), way, start)
    return _places(connection, query.limit(limit))


def _probe(
    connection: Connection, way: Way, start: Place | None, limit: int, candidates: Candidates
) -> list[Place]:
    """The next places among very many candidates.

    The order's index is walked, and each entry looked up in the set of the candidates, without
    touching the rows in between.
    """
    found: list[Place] = []
    known = matching(connection, way.gallery, candidates, -1)
    for keyed in _segments(way, start):
        query = _within(way, keyed, start)
        # Said so that neither database begins with the set and sorts what it leads to.
        member = (tiles.c.id + 0).in_(select(known.c.id)).is_not(False)
        query = checked(query.where(member), way.plan.unproven)
        found += _places(connection, query.limit(limit - len(found)))
        if len(found) >= limit:
            break
    return found


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
    behind = _behind(way, start)
    if way.sort.key is not SortKey.CAPTURED or key is None:
        return behind
    if start.key is None:
        return or_(key.is_not(None), behind) if way.back else and_(key.is_(None), behind)
    return behind if way.back else or_(behind, key.is_(None))
