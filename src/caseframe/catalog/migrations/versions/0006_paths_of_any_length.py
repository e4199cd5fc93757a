"""PostgreSQL finds paths by their digest: an entry of its indexes holds 2.7 kB, a path more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NAME = "uq_files_job_id_path"


def upgrade() -> None:
    """Apply."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint(NAME, "files")
        op.create_index(NAME, "files", ["job_id", sa.text("sha256(path)")], unique=True)


def downgrade() -> None:
    """Undo; fails where a path is too long for the index that was."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index(NAME, "files")
        op.create_unique_constraint(NAME, "files", ["job_id", "path"])
