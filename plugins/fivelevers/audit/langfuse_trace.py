"""A trace of Langfuse with its observations in it: GET /api/public/traces/{id}, or the download of one.

Source: `TraceWithFullDetails` in langfuse/langfuse, `fern/apis/server/definition/commons.yml`; a download has the trace
itself as ``trace``. Scores stand beside the observations and name theirs; one that names none is of the whole trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fivelevers.audit import fields

_OF_THE_TRACE: Final = ("sessionId", "userId", "tags", "projectId")


def observations(row: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """Each with what the trace says of all, and its scores; None where the row is no such trace."""
    found = row.get("observations")
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        return None
    trace = fields.part(row, "trace") or row
    scores = trace.get("scores") or row.get("scores")
    scores = [one for one in scores if isinstance(one, Mapping)] if isinstance(scores, list) else []
    alone = sum(one.get("type") == "GENERATION" for one in found) == 1
    shared = {name: trace[name] for name in _OF_THE_TRACE if trace.get(name)}
    return [{**shared, **one, "scores": _scores(one, scores, alone=alone)} for one in found]


def _scores(one: Mapping[str, Any], scores: list[Mapping[str, Any]], *, alone: bool) -> list[Mapping[str, Any]]:
    """Those of the observation; of a trace with one call, the trace's are the call's."""
    of_one = [score for score in scores if score.get("observationId") and score["observationId"] == one.get("id")]
    of_all = [score for score in scores if not score.get("observationId")]
    return of_one + (of_all if alone and one.get("type") == "GENERATION" else [])
