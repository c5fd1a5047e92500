"""What goes into one batch, and when."""

from __future__ import annotations

from typing import Final

from fivelevers.levers.batch.work import Work

LANE_P95_S: Final = 3600.0
"""Of a batch, from its making to its results: OpenRouter's first 230,000 batches had 90 % within it."""


def due_at(work: Work) -> float:
    """The time by which a request wants to be packed, whatever company it has."""
    return min(work.accepted_at + work.terms.flush_age_s, work.deadline_at - LANE_P95_S)
