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
from fivelevers.errors import CalibrationError
from fivelevers.order import LEVERS, Mode
from fivelevers.policy import Route
from fivelevers.switch import Board

if TYPE_CHECKING:
    from fivelevers.policy import Policy
    from fivelevers.prices import PriceBook
    from fivelevers.stores.calibrations import Calibrated
    from fivelevers.stores.ledger import Ledger

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
    metered: Mapping[tuple[str, str], Decimal]
    calibrated: Mapping[str, Calibrated]
    set_at: Mapping[tuple[str, str], float]
    projected: Mapping[str, Projection]
    folder: Path


def read_books(ledger: Ledger, url: str, since: float, projected: Mapping[str, Projection], folder: Path) -> Books:
    """``url``: of the ledger. Raises LedgerError, StoreError."""
    from fivelevers.metering.report import GroupBy
    from fivelevers.stores import calibrations
    from fivelevers.stores.report_query import savings_by_lever
    from fivelevers.stores.route_traffic import set_at
    from fivelevers.stores.switches import Switches

    metered: dict[tuple[str, str], Decimal] = {}
    for route, lever, _, usd in savings_by_lever(ledger, GroupBy.ROUTE, since):
        metered[route, lever] = metered.get((route, lever), Decimal(0)) + usd
    switches = Switches(os.environ.get("FIVELEVERS_REDIS_URL", ""), url)
    try:
        board = switches.look()
    finally:
        switches.close()
    calibrated = calibrations.latest(ledger, "semantic_cache")
    return Books(ledger, since, board, metered, calibrated, set_at(ledger), projected, folder)


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
    if switch.mode is Mode.ON and (usd := _metered(route.name, lever, books)) is not None:
        saving, basis = (usd, usd), Basis.METERED
    elif saving is not None:
        basis = Basis.PROJECTED
    if switch.mode in (Mode.ON, Mode.SHADOW) and not lacks:
        lacks = _too_little(seen.requests, seen.span_s)
    retreat = next((one for one in books.board.within(route.name, lever) if one.action == "retreat"), None)
    if retreat is not None:
        command = f"fivelevers resume --route {route.name} --lever {lever}"
    return Known(
        lever, switch.mode, switch.percent, saving, basis, found.told or f"{seen.requests:,} requests", lacks, command,
        found.cannot, None if retreat is None else retreat.reason or "no reason kept",
    )  # fmt: skip


def _metered(route: str, lever: str, books: Books) -> Decimal | None:
    """USD a month that the ledger says was saved; None where it says nothing, or of too short a time."""
    from fivelevers.stores.route_traffic import traffic

    span_s = traffic(books.ledger, route, books.since).span_s
    if (route, lever) not in books.metered or span_s < LEAST_S:
        return None
    return books.metered[route, lever] * Decimal(MONTH_S / span_s)


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


def projections(url: str, policy: Policy, book: PriceBook) -> dict[str, Projection]:
    """By route, of the calls in the ledger. Raises AuditError, LedgerError, ContentError."""
    from fivelevers.audit.audit import Audit
    from fivelevers.audit.groups import By
    from fivelevers.cli.logs import go_through

    made = Audit(book, similar=False)
    done = go_through([url], By.ROUTE, policy, made.see)
    if done.span_s < LEAST_S:
        return {}
    month = Decimal(MONTH_S / done.span_s)
    sums: dict[str, dict[str, Ends]] = {}
    waiting: dict[str, list[bool]] = {}
    told = made.projections()
    for line in made.lines():
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
