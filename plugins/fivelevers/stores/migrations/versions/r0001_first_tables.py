"""The first tables: attempts with their tags and savings, outcomes, switches, kept content. Money is in picodollars."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_JSON = sa.JSON().with_variant(JSONB(), "postgresql")
_KINDS = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")


def upgrade() -> None:
    _attempt()
    _parts_of_attempts()
    _outcome()
    _switch()
    _content()


def _attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("event_id", sa.String(32), primary_key=True),
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("started_at", sa.Float(), nullable=False),
        sa.Column("route", sa.String(63), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("team", sa.String()),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("key_alias", sa.String()),
        sa.Column("session", sa.String(64), nullable=False),
        sa.Column("explicit_session", sa.Boolean(), nullable=False),
        sa.Column("api", sa.String(16), nullable=False),
        sa.Column("stream", sa.Boolean(), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("provider_key", sa.String(16)),
        sa.Column("deployment", sa.String()),
        sa.Column("provider_request_id", sa.String()),
        sa.Column("success", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String()),
        sa.Column("finish_reason", sa.String()),
        *(sa.Column(f"{kind}_tokens", sa.Integer(), nullable=False) for kind in _KINDS),
        sa.Column("usage_source", sa.String(9), nullable=False),
        *(sa.Column(f"{kind}_usd", sa.BigInteger()) for kind in _KINDS),
        sa.Column("cost_usd", sa.BigInteger()),
        sa.Column("list_cost_usd", sa.BigInteger()),
        sa.Column("cost_without_us_usd", sa.BigInteger()),
        sa.Column("failure_cost_usd", sa.BigInteger(), nullable=False),
        sa.Column("u", sa.Float(), nullable=False),
        sa.Column("holdout", sa.Boolean(), nullable=False),
        sa.Column("treated", _JSON, nullable=False),
        sa.Column("policy", sa.String(12), nullable=False),
        sa.Column("skipped", _JSON, nullable=False),
        sa.Column("asked_at", sa.Float(), nullable=False),
        sa.Column("digest", sa.String(32), nullable=False),
        sa.Column("repeat_window_s", sa.Float()),
        sa.Column("end_user", sa.String(32)),
    )
    op.create_index("ix_attempt_request_id", "attempt", ["request_id"])
    op.create_index("ix_attempt_at", "attempt", ["at"])
    op.create_index("attempt_by_digest", "attempt", ["session", "digest"])


def _parts_of_attempts() -> None:
    op.create_table("tag", _of_attempt(), sa.Column("tag", sa.String(), primary_key=True))
    op.create_table(
        "saving",
        _of_attempt(),
        sa.Column("lever", sa.String(16), primary_key=True),
        sa.Column("basis", sa.String(9), primary_key=True),
        sa.Column("usd", sa.BigInteger(), nullable=False),
    )


def _of_attempt() -> sa.Column[str]:
    return sa.Column("event_id", sa.String(32), sa.ForeignKey("attempt.event_id", ondelete="CASCADE"), primary_key=True)


def _outcome() -> None:
    op.create_table(
        "outcome",
        sa.Column("event_id", sa.String(32), primary_key=True),
        sa.Column("request_id", sa.String(32), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("outcome", sa.String(8), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("strength", sa.Integer(), nullable=False),
        sa.Column("detail", sa.String()),
    )
    op.create_index("outcome_by_request", "outcome", ["request_id", "strength", "at"])


def _switch() -> None:
    op.create_table(
        "switch",
        sa.Column("event_id", sa.String(32), primary_key=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("action", sa.String(8), nullable=False),
        sa.Column("route", sa.String(63), nullable=False),
        sa.Column("lever", sa.String(16), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("detail", _JSON),
    )
    op.create_index("ix_switch_at", "switch", ["at"])


def _content() -> None:
    op.create_table(
        "content",
        sa.Column("request_id", sa.String(32), primary_key=True),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("route", sa.String(63), nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("end_user", sa.String(32)),
        sa.Column("expires_at", sa.Float(), nullable=False),
        sa.Column("key_id", sa.String(8)),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_content_expires_at", "content", ["expires_at"])
    op.create_index("content_by_route", "content", ["route", "at"])
