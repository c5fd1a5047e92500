"""The guards that were started, and the length of each prompt, which they take into account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("attempt", sa.Column("prompt_chars", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "guard",
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("route", sa.String(63), nullable=False),
        sa.Column("lever", sa.String(16), nullable=False),
        sa.Column("arms", sa.String(32), nullable=False),
    )
