"""Lever 2: its look-ups, its calibrations, and the calls that are a lever's own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("attempt", sa.Column("charged_to", sa.String(16)))
    op.create_table(
        "look_up",
        sa.Column("event_id", sa.String(32), primary_key=True),
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("route", sa.String(63), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("end_user", sa.String(32)),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("question", sa.String(32), nullable=False),
        sa.Column("embedder", sa.String(), nullable=False),
        sa.Column("mode", sa.String(6), nullable=False),
        sa.Column("result", sa.String(5), nullable=False),
        sa.Column("verdict", sa.String(9)),
        sa.Column("judged_by", sa.String(9)),
        sa.Column("seen", _JSON, nullable=False),
    )
    op.create_index("look_up_by_route", "look_up", ["route", "at"])
    op.create_table(
        "calibration",
        sa.Column("event_id", sa.String(32), primary_key=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("route", sa.String(63), nullable=False),
        sa.Column("lever", sa.String(16), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("detail", _JSON, nullable=False),
    )
    op.create_index("ix_calibration_at", "calibration", ["at"])
