"""Tiles, documents, tallies, and the triggers that keep them; they are filled after migrating."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from caseframe.catalog import triggers

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _of(table: str, column: str, target: str, key: str = "id") -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [f"{target}.{key}"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "galleries",
        sa.Column("number", KEY, autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(length=36), nullable=False),
        _of("galleries", "job_id", "jobs"),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_galleries")),
        sa.UniqueConstraint("job_id", name=op.f("uq_galleries_job_id")),
    )
    _tiles()
    op.create_table(
        "documents",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        _of("documents", "id", "tiles"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
    )
    op.create_table(
        "tallies",
        sa.Column("gallery", KEY, autoincrement=False, nullable=False),
        sa.Column("topic", sa.String(length=16), nullable=False),
        sa.Column("a", sa.Text(), nullable=False),
        sa.Column("b", sa.Text(), nullable=False),
        sa.Column("c", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        _of("tallies", "gallery", "galleries", "number"),
        sa.PrimaryKeyConstraint("gallery", "topic", "a", "b", "c", name=op.f("pk_tallies")),
        sqlite_with_rowid=False,
    )
    _indexes_of_files()
    op.execute("INSERT INTO galleries (job_id) SELECT id FROM jobs ORDER BY created_at")
    triggers.create(op.get_bind())


def _tiles() -> None:
    op.create_table(
        "tiles",
        sa.Column("id", KEY, autoincrement=False, nullable=False),
        sa.Column("gallery", KEY, nullable=False),
        sa.Column("image_id", KEY, nullable=False),
        sa.Column("file_id", sa.BigInteger(), nullable=False),
        sa.Column("path_key", sa.LargeBinary(), nullable=False),
        sa.Column("captured", sa.BigInteger(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("faces", sa.Integer(), nullable=True),
        sa.Column("copies", sa.Integer(), nullable=False),
        sa.Column("problem", sa.Boolean(), nullable=False),
        sa.Column("camera", sa.Text(), nullable=True),
        sa.Column("month", sa.Integer(), nullable=True),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("country", sa.Text(), nullable=True),
        sa.Column("town", sa.Text(), nullable=True),
        _of("tiles", "gallery", "galleries", "number"),
        _of("tiles", "image_id", "images"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tiles")),
    )
    op.create_index(op.f("ix_tiles_image_id"), "tiles", ["image_id"], unique=False)
    for name, column in (("path", "path_key"), ("captured", "captured"), ("size", "size")):
        op.create_index(f"ix_tiles_{name}", "tiles", ["gallery", column, "id"], unique=False)
    op.create_index(
        "ix_tiles_place",
        "tiles",
        ["gallery", "latitude", "longitude"],
        unique=False,
        sqlite_where=sa.text("latitude IS NOT NULL"),
        postgresql_where=sa.text("latitude IS NOT NULL"),
    )


def _indexes_of_files() -> None:
    op.drop_index("ix_files_image_id_job_id", "files")
    op.create_index("ix_files_image_id_job_id", "files", ["image_id", "job_id", "id"])
    condition = sa.text("state NOT IN ('picture', 'not-a-picture')")
    op.create_index(
        "ix_files_problem", "files", ["job_id", "id"],
        sqlite_where=condition, postgresql_where=condition,
    )  # fmt: skip


def downgrade() -> None:
    """Undo."""
    triggers.drop(op.get_bind())
    op.drop_index("ix_files_problem", "files")
    op.drop_index("ix_files_image_id_job_id", "files")
    op.create_index("ix_files_image_id_job_id", "files", ["image_id", "job_id"])
    for table in ("tallies", "documents", "tiles", "galleries"):
        op.drop_table(table)
