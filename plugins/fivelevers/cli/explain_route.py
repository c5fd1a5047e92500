"""`fivelevers explain route`: why one request went to the model that it went to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fivelevers.cli.explain_cascade import why
from fivelevers.cli.logs import AsJson
from fivelevers.cli.options import STATE_DIR, LedgerUrl, StateDir, ledger_url
from fivelevers.cli.tables import money
from fivelevers.errors import LedgerError

if TYPE_CHECKING:
    from fivelevers.metering.event import Routed
    from fivelevers.stores.decision_query import Tried

_WHY = {
    "routed": "the strong model is not expected to be enough better to be worth its price",
    "worth-it": "it is expected to be enough better to be worth its price",
    "unknown-route": "the artifact has no labels of this task",
    "not-certified": "the artifact does not say to route",
    "unable": "no cheaper model can do what the request needs: tools, images, a schema, its length, its region",
    "kept": "the conversation is warm there, and moving it costs more than it gains",
    "tool-call": "a tool call was open, which the model goes on with that made it",
    "thinking": "the conversation holds signed reasoning, which its own model alone reads",
    "stored": "the provider keeps the conversation, at the model that answered last",
    "failed": "a cheaper model had failed on this request",
    "no-artifact": "there is no artifact that can be used",
    "stale": "a price or a model has changed since the artifact was made",
    "no-prompt": "the request has no text of the user's to decide on",
    "caller": "the caller named it",
    "holdout": "the session is of the holdout, which no lever touches",
    "untreated": "the session is not of the share that is treated",
    "skipped": "the lever was skipped, or switched off",
    "error": "deciding failed; the proxy's log says how",
}


def route(
    request_id: Annotated[str, typer.Argument(help="What the answer's header x-fivelevers-request said.")],
    *,
    ledger: LedgerUrl = "",
    state_dir: StateDir = STATE_DIR,
    as_json: AsJson = False,
) -> None:
    """Why a request went to the model that it went to: what was decided, on what grounds, and what came of it.

    Exit code 0: told; 1: lever 4 decided nothing about it; 2: could not be told.
    """
    console = Console(highlight=False)
    try:
        decisions, attempts = _found(ledger_url(ledger, state_dir), request_id)
    except LedgerError as error:
        Console(stderr=True, highlight=False).print(f"fivelevers explain: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    if as_json:
        print(json.dumps(_record(decisions, attempts), indent=2))  # noqa: T201
    else:
        for line in _lines(decisions, attempts):
            console.print(line, markup=False, soft_wrap=True)
    raise typer.Exit(0 if decisions else 1)


def _found(url: str, request_id: str) -> tuple[Sequence[Routed], Sequence[Tried]]:
    """Raises LedgerError, where there is no such request too."""
    from fivelevers.stores.decision_query import decided, tried
    from fivelevers.stores.ledger import Ledger

    ledger = Ledger(url)
    try:
        found = decided(ledger, request_id), tried(ledger, request_id)
    finally:
        ledger.close()
    if not any(found):
        raise LedgerError(f"{request_id}: the ledger has no such request; it has those of seconds ago soon")
    return found


def _lines(decisions: Sequence[Routed], attempts: Sequence[Tried]) -> Iterator[str]:
    for one in decisions:
        yield from _of_decision(one)
    if not decisions:
        yield f"route {attempts[0].route}: lever 4 decided nothing; it is off, or the alias holds none of its models"
    for attempt in attempts:
        yield _of_attempt(attempt)


def _of_decision(one: Routed) -> Iterator[str]:
    task = f", task {one.task}" if one.task and one.task != one.route else ""
    yield f"{_when(one.at)}  route {one.route}{task}, lever 4 in {one.mode}"
    if one.mode == "shadow" and one.chosen not in (None, one.model):
        yield f"  {one.model} answers, since shadow changes nothing. Decided on: {one.chosen} ({one.reason})"
    else:
        yield f"  sent to {one.model} ({one.reason})"
    yield f"  why: {why(one.reason, _WHY) or _WHY.get(one.reason, one.reason)}"
    if one.point is not None and one.threshold is not None:
        yield f"  {_grounds(one, one.point, one.threshold)}"
    if one.chosen is not None and one.chosen != one.strong:
        loss, saved = 100 * (one.gain or 0.0), money(Decimal(str(one.saved_usd or 0.0)))
        yield f"  expected: {saved} saved, right {abs(loss):.1f} points {'less' if loss >= 0 else 'more'} often"
    if one.artifact is not None:
        yield f"  artifact of {_when(one.artifact)}"


def _grounds(one: Routed, point: float, threshold: float) -> str:
    """As choose.py has them: below 0 a margin in success, from 0 on success per USD."""
    if point < 0:
        found = f"a cheaper model is expected to be right {-100 * point:.1f} points more often than {one.strong}"
    else:
        found = f"another dollar for {one.strong} is expected to buy {point:,.4g} right answers here"
    if threshold < 0:
        return f"{found}; a cheaper one is certified from {-100 * threshold:.1f} points more on"
    return f"{found}; a cheaper one is certified below {threshold:,.4g} for a dollar"


def _of_attempt(one: Tried) -> str:
    end = "answered" if one.success else f"failed: {one.error}"
    cost = "cost unknown" if one.cost_usd is None else f"cost {money(one.cost_usd)}"
    if one.charged_to:
        return f"{_when(one.at)}  {one.provider}/{one.model} {end}, {cost}: the lever's own call, to compare"
    return f"{_when(one.at)}  {one.provider}/{one.model} {end}, {cost}{_saved(one.saved_usd)}"


def _saved(usd: Decimal | None) -> str:
    if usd is None:
        return ""
    return f", lever 4 saved {money(usd)}" if usd >= 0 else f": thrown away, lever 4 lost {money(-usd)}"


def _when(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _record(decisions: Sequence[Routed], attempts: Sequence[Tried]) -> dict[str, Any]:
    told = [{name: value for name, value in asdict(one).items() if name != "end_user"} for one in decisions]
    done = [{k: str(v) if isinstance(v, Decimal) else v for k, v in asdict(one).items()} for one in attempts]
    return {"decisions": told, "attempts": done}
