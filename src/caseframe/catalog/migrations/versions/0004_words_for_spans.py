"""Documents hold a word for the block of the image's number and one for its size (search/spans.py).

A catalog that is older than documents has none yet; they are made after migrating.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BATCH = 1000


def upgrade() -> None:
    """Apply."""
    connection = op.get_bind()
    add = sa.text("UPDATE documents SET text = :words || text WHERE id = :id")
    for rows in _batches(connection):
        connection.execute(add, [{"id": row.id, "words": _words(row)} for row in rows])


def downgrade() -> None:
    """Undo."""
    connection = op.get_bind()
    cut = sa.text("UPDATE documents SET text = substr(text, :length) WHERE id = :id")
    for rows in _batches(connection):
        connection.execute(cut, [{"id": r.id, "length": len(_words(r)) + 1} for r in rows])


def _batches(connection: sa.Connection) -> Iterator[list[sa.Row[tuple[int, int, int]]]]:
    after = -1
    query = sa.text(
        "SELECT id, image_id, size FROM tiles WHERE id > :after ORDER BY id LIMIT :most"
    )
    while rows := list(connection.execute(query, {"after": after, "most": _BATCH})):
        yield rows
        after = rows[-1].id


def _words(row: sa.Row[tuple[int, int, int]]) -> str:
    bits = row.size.bit_length()
    step = bits * 32 + ((row.size >> max(bits - 6, 0)) & 31)
    return f" ·{row.image_id >> 8:08x} | size·{step:03x} |"
