"""Which tiles of a gallery the word index, and the checks behind it, let through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Select, func, literal_column, select, text

from caseframe.catalog.gallery_tables import IMAGE_BITS, documents, tiles
from caseframe.catalog.search.plan import Candidates, Plan, render_fts5, render_tsquery

_CHECKED = 20  # candidates that are looked at for each tile that is counted
# For this transaction. Sets must fit, else PostgreSQL reads every document of a page to see which
# one it meant, and searches a set from end to end; and compiling queries takes longer than they do.
_ROOM = text("SELECT set_config('work_mem', '128MB', true), set_config('jit', 'off', true)")


def ids_of(gallery: int) -> tuple[int, int]:
    """The first and the last id that a tile of this gallery may have."""
    return gallery << IMAGE_BITS, (gallery + 1 << IMAGE_BITS) - 1


def checked(query: Select[Any], plan: Plan) -> Select[Any]:
    """The query with the plan's condition; documents come in only where they are read."""
    if plan.text:
        query = query.join(documents, documents.c.id == tiles.c.id)
    return query.where(plan.condition) if plan.checks else query


def matching(connection: Connection, gallery: int, candidates: Candidates, most: int) -> CTE:
    """Ids of the gallery's tiles that the word index gives, at most `most` (-1 for all)."""
    least, last = ids_of(gallery)
    if connection.dialect.name == "sqlite":
        words = render_fts5(candidates)
        query = text(
            "SELECT rowid AS id FROM document_words WHERE document_words MATCH :words"
            " AND rowid BETWEEN :least AND :last LIMIT :most"
        )
    else:
        words = render_tsquery(candidates)
        connection.execute(_ROOM)
        # The sum keeps PostgreSQL from reading documents by id and folding each of them.
        query = text(
            "SELECT id FROM documents WHERE caseframe_words(text) @@ CAST(:words AS tsquery)"
            " AND id + 0 BETWEEN :least AND :last LIMIT :most"
        )
    bound = query.bindparams(words=words, least=least, last=last, most=most if most >= 0 else 2**60)
    return bound.columns(tiles.c.id).cte("found").prefix_with("MATERIALIZED")


def fitting(
    connection: Connection, gallery: int, plan: Plan, columns: Sequence[ColumnElement[Any]]
) -> Select[Any]:
    """Columns of all tiles that fit, in no order, to be grouped; however many there are."""
    least, last = ids_of(gallery)
    query = select(*columns)
    if plan.candidates is not None and not plan.few:
        found = matching(connection, gallery, plan.candidates, -1)
        return checked(query.join(found, found.c.id == tiles.c.id), plan.unproven)
    return checked(query, plan).where(tiles.c.id.between(least, last))


def count_fitting(
    connection: Connection, gallery: int, plan: Plan, candidates: Candidates, most: int
) -> tuple[int, bool]:
    """(how many of the candidates fit, at most `most`; whether all candidates were looked at)."""
    known = matching(connection, gallery, candidates, most if plan.exact else _CHECKED * most)
    query: Select[Any] = select(literal_column("1")).select_from(known)
    if not plan.exact:
        query = checked(query.join(tiles, tiles.c.id == known.c.id), plan.unproven)
    fits = query.limit(most).subquery()
    looked_at = select(func.count()).select_from(known).scalar_subquery()
    row = connection.execute(
        select(select(func.count()).select_from(fits).scalar_subquery(), looked_at)
    )
    number, seen = row.one()
    return number, plan.exact or seen < _CHECKED * most
