"""Finding the next tiles of a gallery in an order, for which a plan holds.

*Walking* the index of the order, checking tile by tile, is quick where many tiles fit. *Gathering*
all that fit by the word index, then sorting them, is quick where few do. Between the two, the order
is gone through in *windows* whose size follows from how many fitted so far: the word index gives
what fits within one (cover.py). Where no words stand for a window, the order's index is walked and
each entry *probed* against the set of what the word index gave. In the order in which content was
added, SQLite's word index gives what fits by itself. So neither a word that is in half a million
documents nor one that is in three makes anybody read or sort a million rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlalchemy import Connection, func, select

from caseframe.catalog.cover import LONGEST_COVER, cover
from caseframe.catalog.gallery_tables import tiles
from caseframe.catalog.gathering import gather, probe, stream
from caseframe.catalog.matching import Extent, checked, extent, prepare
from caseframe.catalog.order import Place, SortKey
from caseframe.catalog.patience import never
from caseframe.catalog.search.candidates import Both, Candidates, plain
from caseframe.catalog.way import Way, has_key, places, segments, within
from caseframe.domain.errors import Stopped

_FIRST_STEPS = 400
_LONGEST_WALK = 1000
_LONGEST_STRIDE = 32_000
_MOST_GATHERED = 3000
_RARE = 50  # one in so many, or fewer
_MOST_WINDOWS = 4
_LONGEST_WINDOW = 60_000
# Times the steps so far that the next window may be. SQLite reads the whole lists of frequent words
# for each; longer ones pay where a few words stand for a window, which by path take many.
_GROWTH, _GROWTH_OF_SPANS = 16, 28


def find(
    connection: Connection,
    way: Way,
    start: Place | None,
    limit: int,
    stop: Callable[[], bool] = never,
    seen: Extent | None = None,
) -> list[Place]:
    """The next `limit` places behind `start` (from the beginning without one).

    Raises Stopped when `stop` says so between two steps. `seen` is what `known` gave, for those who
    look more than once.
    """
    if not way.plan.checks:
        return _walk(connection, way, start, None, limit)
    if way.plan.few:
        return gather(connection, way, start, limit, None)
    candidates = way.plan.candidates
    if candidates is not None and _listed(connection, candidates):
        if way.sort.key is SortKey.ADDED:
            return stream(connection, way, start, limit, candidates)
        seen = seen or _seen(connection, way, candidates)
        found = _by_list(connection, way, start, limit, candidates, seen)
        if found is not None:
            return found
    prepare(connection)
    end = _after(connection, way, start, _FIRST_STEPS)
    found = _walk(connection, way, start, end, limit)
    if end is None or len(found) >= limit:
        return found
    rest = limit - len(found)
    if candidates is None:
        return found + _stride(connection, way, end, rest, stop)
    return found + _windows(connection, way, end, rest, candidates, len(found), seen)


def known(connection: Connection, way: Way) -> Extent | None:
    """What `find` asks of the word index first; the same whichever way and from where."""
    candidates = way.plan.candidates
    if candidates is None or way.plan.few or way.sort.key is SortKey.ADDED:
        return None
    return _seen(connection, way, candidates) if _listed(connection, candidates) else None


def _seen(connection: Connection, way: Way, candidates: Candidates) -> Extent:
    return extent(connection, way.gallery, candidates, _MOST_GATHERED + 1)


def _listed(connection: Connection, candidates: Candidates) -> bool:
    return plain(candidates) and connection.dialect.name == "sqlite"


def _by_list(
    connection: Connection,
    way: Way,
    start: Place | None,
    limit: int,
    candidates: Candidates,
    seen: Extent,
) -> list[Place] | None:
    """The next places by the word index alone, which SQLite reads without what it leads to.

    None where too many fit.
    """
    if seen.count <= _MOST_GATHERED:
        return gather(connection, way, start, limit, seen)
    if seen.span // seen.count >= _RARE:
        return probe(connection, way, start, limit, candidates)
    return None


def _windows(
    connection: Connection,
    way: Way,
    at: Place,
    limit: int,
    candidates: Candidates,
    fitted: int,
    seen: Extent | None,
) -> list[Place]:
    """The next places behind `at`, before which `fitted` of the `_FIRST_STEPS` first ones fitted.

    `seen` is there where the candidates were found to be too many to gather.
    """
    found: list[Place] = []
    passed = _FIRST_STEPS
    spans = connection.dialect.name == "sqlite" and way.sort.key is not SortKey.PATH
    growth = _GROWTH_OF_SPANS if spans else _GROWTH
    for _ in range(_MOST_WINDOWS):
        rest = limit - len(found)
        length = _length(passed, fitted + len(found), rest, growth)
        if length > _LONGEST_WINDOW and seen is None:
            seen = _seen(connection, way, candidates)
            if seen.count <= _MOST_GATHERED:
                return found + gather(connection, way, at, rest, seen)
        length = min(length, _LONGEST_WINDOW)
        if length > LONGEST_COVER.get(way.sort.key, length):
            break
        end = _after(connection, way, at, length)
        if end is None:
            break
        if length <= _LONGEST_WALK:
            found += _walk(connection, way, at, end, rest)
        elif (window := _narrowed(connection, way, at, end, candidates)) is not None:
            found += gather(connection, way, at, rest, window, end)
        else:
            break
        if len(found) >= limit:
            return found
        at, passed = end, passed + length
    return found + probe(connection, way, at, limit - len(found), candidates)


def _length(passed: int, fitted: int, wanted: int, growth: int) -> int:
    """How many steps will do, as far as the ones before say; they may be few to go by."""
    likely = passed * wanted // fitted * 5 // 4 if fitted else growth * passed
    return max(min(likely, growth * passed), _FIRST_STEPS)


def _narrowed(
    connection: Connection, way: Way, start: Place, end: Place, candidates: Candidates
) -> Candidates | None:
    ids = within(way, True, start, end).with_only_columns(tiles.c.id).order_by(None)
    words = cover(connection, way.sort.key, start, end, ids)
    return None if words is None else Both((candidates, words))


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


def _walk(
    connection: Connection, way: Way, start: Place | None, end: Place | None, limit: int
) -> list[Place]:
    """At most `limit` places that fit, behind `start` and up to `end`."""
    found: list[Place] = []
    for keyed in segments(way, start):
        query = within(way, keyed, start, end)
        last = end is not None and has_key(way, end) == keyed
        query = checked(query, way.plan).limit(limit - len(found))
        found += places(connection, query)
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
    for keyed in segments(way, start):
        query = within(way, keyed, start)
        found = places(connection, query.offset(left - 1).limit(1))
        if found:
            return found[0]
        if way.sort.key is SortKey.CAPTURED:
            rest = query.order_by(None).limit(left).subquery()
            left -= connection.scalar(select(func.count()).select_from(rest)) or 0
    return None
