"""Sums over all tiles that fit, a bounded part at a time.

No index knows how half a million hits are spread over months or over the map, and to look at them
takes a second. So a part goes on by image number from where the one before ended, looks at some
thousands of hits, and says where the next one begins; the parts together are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, func, literal_column, select

from caseframe.catalog.gallery_tables import IMAGE_BITS, documents, tiles
from caseframe.catalog.matching import ids_of, listed, prepare
from caseframe.catalog.search.candidates import Both, Candidates, whole
from caseframe.catalog.search.plan import Plan
from caseframe.catalog.search.spans import BLOCK_BITS, numbers

MOST_LOOKED_AT = 2000
"""Tiles that one part looks at, as far as those before let it guess."""
_DOCUMENT = 2  # looking at one with its document takes so many times as long
_BLOCK = 35  # and PostgreSQL leaves out so many hits while it reads the word of one more block
# What part of the number to which is counted is looked at, where words do not say it all.
_COUNTED_TILES, _COUNTED_DOCUMENTS = 2, 6
_GROWTH = 16
_IMAGE = (1 << IMAGE_BITS) - 1
Key = tuple[Any, ...]


@dataclass(slots=True)
class Part:
    """Sums by key, and the image behind which the next part begins; None when this is the last."""

    sums: dict[Key, list[int]] = field(default_factory=dict)
    next: int | None = None

    def add(self, key: Key, values: Sequence[int]) -> None:
        """Add to the sums of a key."""
        here = self.sums.setdefault(key, [0] * len(values))
        for at, value in enumerate(values):
            here[at] += value


@dataclass(frozen=True, slots=True)
class Asked:
    """Sums of `values` by `keys`, SQL over tiles, of the tiles for which a plan holds."""

    keys: tuple[str, ...]
    values: tuple[str, ...]
    plan: Plan

    @property
    def most(self) -> int:
        """Tiles that a window should have looked at."""
        return MOST_LOOKED_AT // (_DOCUMENT if self.plan.unproven.text else 1)

    def over(self, query: Select[Any], unproven: Plan) -> Select[Any]:
        """The query with (all looked at, sums of those that fit, keys) by keys."""
        condition = unproven.condition if unproven.checks else None
        if unproven.text:
            query = query.join(documents, documents.c.id == tiles.c.id)
        keys: list[ColumnElement[Any]] = [
            literal_column(text).label(f"key{at}") for at, text in enumerate(self.keys)
        ]
        sums = [_sum(literal_column(value), condition) for value in self.values]
        # A sum of no rows is NULL, and one without keys gives a row all the same.
        wanted = query.with_only_columns(func.count(), *sums, *keys)
        return wanted.group_by(*[literal_column(f"key{at}") for at in range(len(keys))])


def _sum(value: ColumnElement[Any], condition: ColumnElement[bool] | None) -> ColumnElement[Any]:
    return func.sum(value if condition is None else case((condition, value), else_=0))


def all_of(connection: Connection, asked: Asked, among: Select[tuple[int]]) -> Part:
    """The sums over all tiles that a query of ids gives, which are few."""
    prepare(connection)
    found = Part()
    _add(connection, asked, asked.over(among, asked.plan), found)
    return found


def part(connection: Connection, gallery: int, asked: Asked, after: int | None = None) -> Part:
    """The sums of the next part, behind image `after` (from the beginning for None)."""
    found = Part()
    enough = asked.most // 2
    for looked_at in _through(connection, gallery, asked, found, (after or 0) + 1):
        if looked_at > enough:
            break
    return found


def count_fitting(
    connection: Connection, gallery: int, plan: Plan, most: int
) -> tuple[int, bool]:  # fmt: skip
    """(how many tiles fit, whether all were looked at).

    Counting ends a little above `most`, and where tiles must be looked at, when these are many.
    """
    candidates = plan.candidates
    if candidates is not None and plan.exact:
        number = _listed(connection, gallery, candidates, most + 1)
        return number, number <= most
    asked = Asked((), ("1",), plan)
    found = Part()
    enough = most // (_COUNTED_DOCUMENTS if plan.unproven.text else _COUNTED_TILES)
    for looked_at in _through(connection, gallery, asked, found, 1):
        if _number(found) > most or looked_at > enough:
            break
    return _number(found), found.next is None


def _listed(connection: Connection, gallery: int, candidates: Candidates, most: int) -> int:
    """How many tiles the word index gives, at most `most`."""
    # SQLite joins the lists of all words that begin so before it gives the first of what they lead
    # to; where the word itself is frequent enough, its list is read only as far as is needed.
    number = 0
    for words in dict.fromkeys((whole(candidates), candidates)):
        ids = listed(connection, words, *ids_of(gallery), most=most).subquery()
        number = connection.scalar(select(func.count()).select_from(ids)) or 0
        if number >= most:
            break
    return number


def _number(found: Part) -> int:
    return found.sums.get((), [0])[0]


def _through(
    connection: Connection, gallery: int, asked: Asked, found: Part, first: int
) -> Iterator[int]:
    """Add window after window from image `first` on; how many tiles were looked at so far."""
    if asked.plan.few:
        least, most = ids_of(gallery)
        few = select(tiles.c.id).where(tiles.c.id.between(least, most))
        found.sums = all_of(connection, asked, few).sums
        return
    prepare(connection)
    end = _end(connection, gallery)
    looked_at, length, covered = 0, asked.most, True
    while first < end:
        images = range(first, min(_whole_block(first + length), end))
        window = _window(connection, gallery, asked, images, covered=covered)
        now = _add(connection, asked, window, found)
        first, looked_at = images.stop, looked_at + now
        found.next = first - 1 if first < end else None
        yield looked_at
        length = min(length * asked.most // max(now, 1), length * _GROWTH)
        covered = looked_at * end // first > (length >> BLOCK_BITS) * _BLOCK


def _end(connection: Connection, gallery: int) -> int:
    """The number behind the last image of a gallery."""
    least, most = ids_of(gallery)
    last = connection.scalar(select(func.max(tiles.c.id)).where(tiles.c.id.between(least, most)))
    return 0 if last is None else (last & _IMAGE) + 1


def _whole_block(number: int) -> int:
    """The end of the block that holds this image: words stand for whole blocks."""
    return (number >> BLOCK_BITS) + 1 << BLOCK_BITS


def _add(connection: Connection, asked: Asked, query: Select[Any], found: Part) -> int:
    """Add what a query of `Asked.over` gives; how many tiles were looked at."""
    looked_at = 0
    width = len(asked.values)
    for count, *values in connection.execute(query):
        sums, key = values[:width], tuple(values[width:])
        looked_at += count
        if None not in key and sums[0]:
            found.add(key, [int(value) for value in sums])
    return looked_at


def _window(
    connection: Connection, gallery: int, asked: Asked, images: range, *, covered: bool
) -> Select[Any]:
    head = gallery << IMAGE_BITS
    least, most = head + images.start, head + images.stop - 1
    candidates = asked.plan.candidates
    if candidates is None:
        return asked.over(select(tiles.c.id).where(tiles.c.id.between(least, most)), asked.plan)
    if covered and connection.dialect.name == "postgresql":
        # It cannot begin in the midst of a list; SQLite can.
        candidates = Both((candidates, numbers(images.start, images.stop - 1)))
    ids = listed(connection, candidates, least, most).cte("found").prefix_with("MATERIALIZED")
    return asked.over(select(tiles.c.id).join(ids, ids.c.id == tiles.c.id), asked.plan.unproven)
