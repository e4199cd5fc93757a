"""Jobs note when a walk through their source came to its end: only then are they finished."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("jobs", sa.Column("walked_at", sa.BigInteger(), nullable=True))
    op.execute("UPDATE jobs SET walked_at = finished_at WHERE state = 'finished'")


def downgrade() -> None:
    """Undo."""
    op.drop_column("jobs", "walked_at")
