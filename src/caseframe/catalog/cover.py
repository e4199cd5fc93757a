"""Words that narrow a search to a window of an order, so that nobody gathers all that fits.

A word in every hundredth of a million documents leads to ten thousand of them, and a page shows a
hundred. But documents hold words for when a picture was taken, its size and its number too, and
the word index puts lists of words together without touching what they lead to.
"""

from __future__ import annotations

from sqlalchemy import Connection, Select, select

from caseframe.catalog.gallery_tables import IMAGE_BITS
from caseframe.catalog.order import Place, SortKey
from caseframe.catalog.search.candidates import Candidates
from caseframe.catalog.search.plan import dates
from caseframe.catalog.search.spans import BLOCK_BITS, blocks, numbers, sizes
from caseframe.catalog.search.values import Range

_MOST_BLOCKS = 96
LONGEST_COVER = {SortKey.PATH: _MOST_BLOCKS << BLOCK_BITS}
"""Steps of an order beyond which no words are known for a window."""
_IMAGE = (1 << IMAGE_BITS) - 1


def cover(
    connection: Connection, key: SortKey, start: Place, end: Place, ids: Select[tuple[int]]
) -> Candidates | None:
    """Words of which each tile between two places has one; None where none are known.

    `ids` are those of the tiles between the places.
    """
    if key is SortKey.ADDED:
        first, last = sorted((start.id & _IMAGE, end.id & _IMAGE))
        return numbers(first, last)
    if key is SortKey.PATH:
        return _of_blocks(connection, ids)
    if not isinstance(start.key, int) or not isinstance(end.key, int):
        return None
    least, most = sorted((start.key, end.key))
    return sizes(least, most) if key is SortKey.SIZE else dates(Range(key, least, most))[0]


def _of_blocks(connection: Connection, ids: Select[tuple[int]]) -> Candidates | None:
    """Pictures of one folder mostly came one after the other: what lies together has few blocks."""
    found = ids.subquery()
    query = select(found.c.id // 2**BLOCK_BITS).distinct().limit(_MOST_BLOCKS + 1)
    rows = connection.scalars(query).all()
    if len(rows) > _MOST_BLOCKS:
        return None
    return blocks(row & (_IMAGE >> BLOCK_BITS) for row in rows)
