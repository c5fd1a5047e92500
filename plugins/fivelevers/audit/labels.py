"""What a log's row says of whether an answer did its job.

``outcome``: "success" or "failure", as our own endpoint takes it. ``scores``, as Langfuse exports them with a trace: of
these the boolean ones count, and one that is false makes a failure. A number on a scale is no label: nobody but its
author knows from where on an answer is good.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fivelevers.audit import fields
from fivelevers.metering.outcomes import Outcome

_TYPES = ("dataType", "data_type")


def label_in(row: Mapping[str, Any]) -> bool | None:
    """None: the row does not say."""
    for place in (row, fields.part(row, "metadata")):
        told = place.get("outcome")
        if told in (Outcome.SUCCESS, Outcome.FAILURE):
            return bool(told == Outcome.SUCCESS)
        said = list(_scores(fields.unpacked(place.get("scores"))))
        if said:
            return all(said)
    return None


def label_apart(row: Mapping[str, Any]) -> tuple[str, bool] | None:
    """(a call's id, whether it was good) of a row that is a boolean score, as Langfuse exports them beside its
    observations. What is of a trace or a session names no call.
    """
    call_id = fields.text(row, "observationId", "observation_id")
    said = next(_scores([row]), None) if call_id else None
    return None if call_id is None or said is None else (call_id, said)


def _scores(found: object) -> Iterator[bool]:
    for score in found if isinstance(found, list) else ():
        if isinstance(score, Mapping):
            value, kind = score.get("value"), next((score[name] for name in _TYPES if score.get(name)), "")
            if isinstance(value, bool) or (str(kind).upper() == "BOOLEAN" and value in (0, 1)):
                yield bool(value)
