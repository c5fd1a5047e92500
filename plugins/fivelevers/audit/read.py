"""Logs in, calls out: each row's format is told from its fields, so that one file may hold several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from fivelevers.audit import exchange, langfuse, langfuse_trace, litellm_callback, litellm_spend
from fivelevers.audit.calls import Account, LeftOutError, LoggedCall, Reason
from fivelevers.audit.labels import label_apart, label_in
from fivelevers.audit.opened import Part, Progress
from fivelevers.audit.parquet import RowGroups
from fivelevers.audit.rows import rows

# Fields of what providers export, by the day (providers/cost_exports), and of LiteLLM's daily sums.
_SUMS: Final = frozenset(
    {"line_item", "amount_value", "num_model_requests", "usage_date_utc", "starting_at", "api_requests"}
)
_BUCKETS: Final = frozenset({"results"})  # of the admin APIs
_Reader = Callable[[str, Mapping[str, Any]], LoggedCall]


def _sums(_: str, row: Mapping[str, Any]) -> LoggedCall:
    raise LeftOutError(Reason.SUMS)


# Fields of which each format has at least one; the first that fits.
_FORMATS: Final[tuple[tuple[frozenset[str], _Reader], ...]] = (
    (frozenset({"standard_logging_object", "response_cost", "model_map_information"}), litellm_callback.call),
    (_SUMS, _sums),
    (frozenset({"spend"}), litellm_spend.call),
    (langfuse.MARKS, langfuse.call),
    (frozenset({*exchange.REQUESTS, *exchange.RESPONSES, "messages", "usage"}), exchange.call),
    (_BUCKETS, _sums),
)


def read(
    name: str, account: Account, progress: Progress = lambda _: None, part: Part | RowGroups | None = None
) -> Iterator[LoggedCall]:
    """The calls of one log file, in its order; of a ``part`` of it alone. Raises AuditError, OSError."""
    for place, row in _each(rows(name, account, progress, part), account):
        label = label_apart(row)
        if label is not None and account.label(label[0], good=label[1]):
            account.leave(Reason.LABEL, place)
            continue
        reader = next((reader for marks, reader in _FORMATS if not marks.isdisjoint(row)), None)
        if reader is None:
            account.leave(Reason.UNKNOWN, place)
            continue
        try:
            call, good = reader(place, row), label_in(row)
            call = call if good is None else replace(call, good=good)
        except LeftOutError as error:
            account.leave(error.reason, place)
            if error.reason is Reason.SUMS:
                account.bills.add(name)
        except RecursionError:
            account.leave(Reason.TOO_DEEP, place)
        else:
            if account.take(call):
                yield call


def _each(found: Iterable[tuple[str, Mapping[str, Any]]], account: Account) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows, and in the place of a trace its observations."""
    for place, row in found:
        observations = langfuse_trace.observations(row)
        if not observations:
            yield place, row
            continue
        account.rows += len(observations) - 1
        yield from ((f"{place}, observation {number}", one) for number, one in enumerate(observations, 1))
