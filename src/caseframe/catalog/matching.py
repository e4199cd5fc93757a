"""Which tiles of a gallery the word index, and the checks behind it, let through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    Connection,
    Select,
    TextualSelect,
    func,
    select,
    text,
)

from caseframe.catalog.gallery_tables import IMAGE_BITS, documents, tiles
from caseframe.catalog.search.candidates import Candidates, render_fts5, render_tsquery
from caseframe.catalog.search.plan import Plan

# For this transaction. Sets must fit, else PostgreSQL reads every document of a page to see which
# one it meant, and searches a set from end to end; and compiling queries takes longer than they do.
_ROOM = "SELECT set_config('work_mem', '128MB', true), set_config('jit', 'off', true)"
# Starting workers takes longer than finding a page does; it pays where all that fits is counted.
# Said to be cheap, looking up the few documents of a window is preferred to reading them all.
_ALONE = (
    f"{_ROOM}, set_config('max_parallel_workers_per_gather', '0', true),"
    " set_config('random_page_cost', '1.1', true)"
)


def prepare(connection: Connection) -> None:
    """Make PostgreSQL ready to look for a page, for this transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(_ALONE))


def ids_of(gallery: int) -> tuple[int, int]:
    """The first and the last id that a tile of this gallery may have."""
    return gallery << IMAGE_BITS, (gallery + 1 << IMAGE_BITS) - 1


def checked(query: Select[Any], plan: Plan) -> Select[Any]:
    """The query with the plan's condition; documents come in only where they are read."""
    if plan.text:
        query = query.join(documents, documents.c.id == tiles.c.id)
    return query.where(plan.condition) if plan.checks else query


def matching(
    connection: Connection, gallery: int, candidates: Candidates, most: int, room: str = _ALONE
) -> CTE:
    """Ids of the gallery's tiles that the word index gives, at most `most` (-1 for all)."""
    found = listed(connection, candidates, *ids_of(gallery), most=most, room=room)
    return found.cte("found").prefix_with("MATERIALIZED")


def listed(
    connection: Connection,
    candidates: Candidates,
    least: int,
    last: int,
    *,
    most: int = -1,
    room: str = _ALONE,
) -> TextualSelect:
    """Ids from `least` to `last` that the word index gives, at most `most` (-1 for all).

    `room` is the statement that makes PostgreSQL ready for it.
    """
    if connection.dialect.name == "sqlite":
        words = render_fts5(candidates)
        query = (
            "SELECT rowid AS id FROM document_words WHERE document_words MATCH :words"
            " AND rowid BETWEEN :least AND :last"
        )
    else:
        words = render_tsquery(candidates)
        connection.execute(text(room))
        # The sum keeps PostgreSQL from reading documents by id and folding each of them.
        query = (
            "SELECT id FROM documents WHERE caseframe_words(text) @@ CAST(:words AS tsquery)"
            " AND id + 0 BETWEEN :least AND :last"
        )
    bound = text(query).bindparams(words=words, least=least, last=last)
    if most >= 0:
        bound = text(f"{query} LIMIT :most").bindparams(
            words=words, least=least, last=last, most=most
        )
    return bound.columns(tiles.c.id)


@dataclass(frozen=True, slots=True)
class Extent:
    """How many tiles the word index gives, over how many numbers they lie, and which they are.

    `ids` is one value that only `these` reads: rows by the thousand take longer to come than to be
    found.
    """

    count: int
    span: int
    ids: Any


def extent(connection: Connection, gallery: int, candidates: Candidates, most: int) -> Extent:
    """The extent of what the word index gives, looking at no more than `most` tiles."""
    c = listed(connection, candidates, *ids_of(gallery), most=most).subquery().c
    one = func.json_group_array if connection.dialect.name == "sqlite" else func.array_agg
    query = select(func.count(), func.max(c.id) - func.min(c.id), one(c.id))
    count, span, ids = connection.execute(query).one()
    return Extent(count, span or 0, ids or [])


def these(connection: Connection, extent: Extent) -> TextualSelect:
    """The ids of an extent as rows."""
    if connection.dialect.name == "sqlite":
        query = "SELECT value AS id FROM json_each(:ids)"
    else:
        query = "SELECT unnest(CAST(:ids AS bigint[])) AS id"
    return text(query).bindparams(ids=extent.ids).columns(tiles.c.id)
