"""What `plan` knows of each lever on each route: from ledger, switches, calibrations and the audit's projections."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fivelevers.adoption import Basis, Ends, Known
from fivelevers.audit.lines import OWN_SERVERS
from fivelevers.cli.logs import MONTH_S
from fivelevers.cli.tables import money
from fivelevers.errors import CalibrationError
from fivelevers.metering.measured import Measured, Saving, measure
from fivelevers.order import LEVERS, Mode
from fivelevers.policy import Route
from fivelevers.switch import ANY, Action, Board, Switch

if TYPE_CHECKING:
    from fivelevers.audit.calls import LoggedCall
    from fivelevers.policy import Policy
    from fivelevers.prices import PriceBook
    from fivelevers.stores.calibrations import Calibrated
    from fivelevers.stores.ledger import Ledger
    from fivelevers.stores.route_traffic import Traffic

ENOUGH_REQUESTS: Final = 200
ENOUGH_S: Final = 86_400.0
LEAST_S: Final = 3600.0  # of traffic, below which no month is told of
NOTHING: Final = (Decimal(0), Decimal(0))


@dataclass(frozen=True, slots=True)
class Projection:
    """What an audit of the ledger says of a route: USD a month by lever, and whether somebody waits for every call."""

    saving: Mapping[str, Ends] = field(default_factory=dict)
    all_wait: bool = False


@dataclass(frozen=True, slots=True)
class Books:
    """What is known of all routes. ``folder``: that the artifacts of the policy are named from."""

    ledger: Ledger
    since: float
    board: Board
    measured: Mapping[str, Measured]
    calibrated: Mapping[str, Calibrated]
    set_at: Mapping[tuple[str, str], float]
    projected: Mapping[str, Projection]
    folder: Path


def read_books(ledger: Ledger, url: str, since: float, projected: Mapping[str, Projection], folder: Path) -> Books:
    """``url``: of the ledger. Raises LedgerError, StoreError."""
    from fivelevers.metering.report import GroupBy
    from fivelevers.stores import calibrations
    from fivelevers.stores.report_query import clusters
    from fivelevers.stores.route_traffic import set_at
    from fivelevers.stores.switches import Switches

    measured = {one.route: one for one in measure(clusters(ledger, GroupBy.ROUTE, since))}
    switches = Switches(os.environ.get("FIVELEVERS_REDIS_URL", ""), url)
    try:
        board = switches.look()
    finally:
        switches.close()
    calibrated = calibrations.latest(ledger, "semantic_cache")
    return Books(ledger, since, board, measured, calibrated, set_at(ledger), projected, folder)


def known_of(route: Route, books: Books) -> tuple[Known, ...]:
    """In lever order. Raises LedgerError."""
    return tuple(_known(route, lever.name, books) for lever in LEVERS)


def _known(route: Route, lever: str, books: Books) -> Known:
    from fivelevers.stores.route_traffic import traffic

    switch = route.levers.of(lever)
    since = max(books.since, books.set_at.get((route.name, lever), 0.0))
    seen = traffic(books.ledger, route.name, since)
    found = _OF[lever](route, books)
    lacks, command, saving, basis = found.lacks, found.command, found.saving, Basis.UNKNOWN
    told, acts = found.told or f"{seen.requests:,} requests", switch.mode is Mode.ON
    if acts and (alone := _measured(route, lever, books)) is not None:
        saving, basis = alone, Basis.MEASURED
    elif acts and (usd := _metered(route.name, lever, since, seen, books)) is not None:
        saving, basis = (usd, usd), Basis.METERED
    elif saving is not None:
        basis = Basis.PROJECTED
    if switch.mode in (Mode.ON, Mode.SHADOW) and not lacks:
        lacks = _too_little(seen.requests, seen.span_s)
    retreat = next((one for one in books.board.within(route.name, lever) if one.action == "retreat"), None)
    if retreat is not None:
        command = f"fivelevers resume --route {route.name} --lever {lever}"
    off = _switched_off(route.name, lever, books.board)
    if off is not None:
        command = " ".join(["fivelevers resume", *(f"--{what} {name}" for what, name in _place(off) if name != ANY)])
    return Known(
        lever, switch.mode, switch.percent, saving, basis, told, lacks, command,
        found.cannot, None if retreat is None else retreat.reason or "no reason kept",
        None if off is None else f"{off.reason or 'no reason kept'}, by {off.actor}",
        _contradiction(route, books) if acts else "",
    )  # fmt: skip


def _switched_off(route: str, lever: str, board: Board) -> Switch | None:
    """By a person, here or wherever this is a part of."""
    standing = (one for one in board.standing if one.action is Action.OFF)
    return next((one for one in standing if one.route in (ANY, route) and one.lever in (ANY, lever)), None)


def _place(switch: Switch) -> tuple[tuple[str, str], ...]:
    return ("route", switch.route), ("lever", switch.lever)


def _measured(route: Route, lever: str, books: Books) -> Ends | None:
    """What the holdout says that this lever saves, 95 %: where no other acts on the route; USD a month."""
    from fivelevers.stores.route_traffic import traffic

    acting = [one.name for one in LEVERS if route.levers.of(one.name).mode is Mode.ON]
    found, span_s = books.measured.get(route.name), traffic(books.ledger, route.name, books.since).span_s
    changed = books.set_at.get((route.name, lever), 0.0) > books.since
    if acting != [lever] or found is None or span_s < LEAST_S or changed or not isinstance(found.saving, Saving):
        return None
    month = Decimal(MONTH_S / span_s)
    return found.saving.low_usd * month, found.saving.high_usd * month


def _contradiction(route: Route, books: Books) -> str:
    """What the holdout says against the levers of a route; empty where it says nothing against them."""
    found = books.measured.get(route.name)
    if found is None or not isinstance(found.saving, Saving):
        return ""
    one = found.saving
    ends = f"{money(one.usd)} measured against the holdout, {money(one.low_usd)} to {money(one.high_usd)} (95 %)"
    if one.high_usd <= 0:
        return f"the levers of this route cost more than they save ({ends})"
    return f"what is metered, {money(found.modelled_usd)}, disagrees with {ends}" if found.disagrees else ""


def _metered(route: str, lever: str, since: float, seen: Traffic, books: Books) -> Decimal | None:
    """USD a month that the ledger says was saved since the lever stands as it does; None where it says nothing, or of
    too short a time."""
    from fivelevers.metering.report import GroupBy
    from fivelevers.stores.report_query import savings_by_lever

    saved = [
        usd
        for one, name, _, usd in savings_by_lever(books.ledger, GroupBy.ROUTE, since)
        if (one, name) == (route, lever)
    ]
    return sum(saved, Decimal(0)) * Decimal(MONTH_S / seen.span_s) if saved and seen.span_s >= LEAST_S else None


def _too_little(requests: int, span_s: float) -> str:
    if requests < ENOUGH_REQUESTS:
        return f"{ENOUGH_REQUESTS - requests} requests more as it stands now"
    return f"{(ENOUGH_S - span_s) / 3600:.0f} hours more, so that a day is in it" if span_s < ENOUGH_S else ""


@dataclass(frozen=True, slots=True)
class Found:
    """As in `Known`, of one lever."""

    told: str = ""
    lacks: str = ""
    command: str = ""
    cannot: str = ""
    saving: Ends | None = None


def _projected(route: Route, lever: str, books: Books) -> Ends | None:
    return books.projected.get(route.name, Projection()).saving.get(lever)


def _prompt_cache(route: Route, books: Books) -> Found:
    return Found(saving=_projected(route, "prompt_cache", books))


def _semantic_cache(route: Route, books: Books) -> Found:
    from fivelevers.levers.semantic_cache.calibration import Calibration, Verdict
    from fivelevers.stores.route_traffic import judged

    saving = _projected(route, "semantic_cache", books)
    if route.levers.semantic_cache.tier == "exact":
        return Found("the very same requests alone", saving=saving)
    command = f"fivelevers calibrate semantic-cache --route {route.name}"
    made = books.calibrated.get(route.name)
    if made is None:
        count = judged(books.ledger, route.name)
        return Found(f"{count:,} questions judged", "a calibration of the route", command, saving=saving)
    try:
        found = Calibration.from_json(made.detail)
    except CalibrationError as error:
        return Found("", str(error), command, saving=saving)
    if found.serves and found.chosen is not None:
        point = found.chosen
        told = f"{point.share:.0%} served, at most {point.upper:.1%} wrong (95 %), {found.tested:,} tested"
        return Found(told, saving=saving)
    if found.verdict is Verdict.DO_NOT_SERVE:
        return Found("calibrated: answers are wrong too often to serve", saving=NOTHING)
    needed = f"{found.needed:,} judged questions more" if found.needed else "more judged questions"
    return Found(f"{found.tested:,} tested, too few", needed, command, saving=saving)


def _batch(route: Route, books: Books) -> Found:
    projected = books.projected.get(route.name, Projection())
    cannot = "somebody waits for every answer that can be told of" if projected.all_wait else ""
    return Found(cannot=cannot, saving=projected.saving.get("batch"))


def _routing(route: Route, books: Books) -> Found:
    name = route.name
    command = f"fivelevers route benchmark --route {name} --models WEAK,STRONG --from-ledger --out {name}.jsonl"
    switch = route.levers.routing
    artifact = switch.artifact or (switch.cascade and switch.cascade.artifact)
    if not artifact:
        return Found("no labelled prompts", "prompts that each model answered, labelled and certified", command)
    return _certified(books.folder / artifact, command)


def _certified(path: Path, command: str) -> Found:
    from fivelevers.errors import FiveLeversError
    from fivelevers.levers.routing.certify import Verdict
    from fivelevers.stores import route_artifact

    try:
        certificate = route_artifact.read(path).certificate
    except (FiveLeversError, OSError) as error:
        return Found("", str(error), command)
    share, epsilon = certificate.saving, certificate.promise.epsilon
    told = f"{share:.0%} of the cost at {epsilon:g} loss at most, {certificate.tested:,} tested"
    if certificate.verdict is Verdict.ROUTE:
        return Found(told)
    if certificate.verdict is Verdict.DO_NOT_ROUTE:
        return Found(f"do-not-route, {certificate.tested:,} tested", saving=NOTHING)
    return Found(told, f"{certificate.needed or 'more'} labelled prompts", command)


def _quantization(route: Route, books: Books) -> Found:
    from fivelevers.stores.route_traffic import providers

    served = providers(books.ledger, route.name, books.since)
    if served and not served & OWN_SERVERS:
        return Found(cannot=f"managed APIs alone serve it ({', '.join(sorted(served))})")
    registration = route.levers.quantization.registration
    servers = "--baseline URL --candidate URL --from-ledger --checkpoint FOLDER"
    money = "--hardware-report FILE --gpu-hour-usd USD"  # register takes no verdict without either
    command = f"fivelevers fp8 gate --route {route.name} {servers} {money} --out {route.name}.fp8"
    if registration is None:
        return Found("", "both verdicts of the gate, and a registration", command)
    return _registered(books.folder / registration, command)


def _registered(path: Path, command: str) -> Found:
    from fivelevers.stores.registrations import load

    loaded = load(path)
    if loaded.problem is not None or loaded.found is None:
        return Found("", loaded.problem or "a registration", command)
    made = loaded.found
    saving = "" if made.saving is None else f"{made.saving:.0%} of the cost of a success, "
    return Found(f"{saving}at least {made.low:+.1%} right, {made.items:,} items on {made.gpu}")


_OF: Final[Mapping[str, Callable[[Route, Books], Found]]] = {
    "prompt_cache": _prompt_cache,
    "semantic_cache": _semantic_cache,
    "batch": _batch,
    "routing": _routing,
    "quantization": _quantization,
}


def projections(url: str, policy: Policy, book: PriceBook, since: float) -> dict[str, Projection]:
    """By route, of its calls in the ledger at ``since`` or later. Raises AuditError, LedgerError, ContentError."""
    from fivelevers.audit.audit import Audit
    from fivelevers.audit.groups import By
    from fivelevers.cli.logs import go_through

    made = Audit(book, similar=False)
    spans: dict[str, tuple[float, float]] = {}

    def see(call: LoggedCall, route: str) -> None:
        if call.at >= since:
            made.see(call, route)
            spans[route] = spans.get(route, (call.at, 0.0))[0], call.at

    go_through([url], By.ROUTE, policy, see)
    months = {
        route: Decimal(MONTH_S / (end - start)) for route, (start, end) in spans.items() if end - start >= LEAST_S
    }
    sums: dict[str, dict[str, Ends]] = {}
    waiting: dict[str, list[bool]] = {}
    told = made.projections()
    for line in made.lines():
        month = months.get(line.route)
        if month is None:
            continue
        _add(sums, line.route, "prompt_cache", line.saving, month)
        _add(sums, line.route, "semantic_cache", told.by_answers(line), month)
        _add(sums, line.route, "batch", told.by_batches(line), month)
        row = told.batched(line)
        waiting.setdefault(line.route, []).append(row.waiting > 0 and not row.total("may"))
    return {route: Projection(sums.get(route, {}), all(waiting.get(route, [False]))) for route in sums.keys() | waiting}


def _add(sums: dict[str, dict[str, Ends]], route: str, lever: str, ends: Ends | None, month: Decimal) -> None:
    if ends is not None:
        low, high = sums.setdefault(route, {}).get(lever, NOTHING)
        sums[route][lever] = low + ends[0] * month, high + ends[1] * month
