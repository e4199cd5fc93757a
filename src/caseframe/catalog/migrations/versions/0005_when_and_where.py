"""Counts by day and by cell of the map, which triggers keep; tasks that are open in their order."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from caseframe.catalog import triggers

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "cells",
        sa.Column("gallery", KEY, autoincrement=False, nullable=False),
        sa.Column("zoom", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("down", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("across", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("north", sa.BigInteger(), nullable=False),
        sa.Column("east", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["gallery"], ["galleries.number"], name=op.f("fk_cells_gallery"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("gallery", "zoom", "down", "across", name=op.f("pk_cells")),
        sqlite_with_rowid=False,
    )
    _tasks_open("state", "stage", "image_id")
    connection = op.get_bind()
    triggers.lock(connection)
    triggers.count_spread(connection)
    triggers.create_spread(connection)


def _tasks_open(*columns: str) -> None:
    condition = sa.text("state <> 'done'")
    op.drop_index("ix_tasks_open", "tasks")
    op.create_index(
        "ix_tasks_open", "tasks", list(columns),
        sqlite_where=condition, postgresql_where=condition,
    )  # fmt: skip


def downgrade() -> None:
    """Undo."""
    triggers.drop_spread(op.get_bind())
    op.execute("DELETE FROM tallies WHERE topic = 'day'")
    op.drop_table("cells")
    _tasks_open("state", "stage")
