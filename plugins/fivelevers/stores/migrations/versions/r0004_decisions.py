"""Lever 4: where each request was sent, and why."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "decision",
        sa.Column("event_id", sa.String(32), primary_key=True),
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("route", sa.String(63), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("end_user", sa.String(32)),
        sa.Column("mode", sa.String(6), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("strong", sa.String(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("chosen", sa.String()),
        sa.Column("gain", sa.Float()),
        sa.Column("saved_usd", sa.Float()),
        sa.Column("point", sa.Float()),
        sa.Column("threshold", sa.Float()),
        sa.Column("artifact", sa.Float()),
    )
    op.create_index("ix_decision_request_id", "decision", ["request_id"])
    op.create_index("decision_by_route", "decision", ["route", "at"])
