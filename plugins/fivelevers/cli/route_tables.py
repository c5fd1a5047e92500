"""How a route's models and its certificate look in a terminal: a table by complexity, a picture of cost and success."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.text import Text

from fivelevers.cli.tables import short, table
from fivelevers.levers.routing.artifact import Artifact
from fivelevers.levers.routing.certify import Certificate, Point, Promise, Verdict
from fivelevers.levers.routing.overview import Line, Spot

_WIDTH, _HEIGHT = 60, 15
_ROUTED = {True: "keep the weak answer", False: "leave the strong model"}
_SAYS = {
    Verdict.ROUTE: "route",
    Verdict.DO_NOT_ROUTE: "do not route: what can be proven saves too little, and more labels would not help",
    Verdict.NEED_MORE: "not yet: too few labelled prompts to prove it",
}


def tier_table(lines: Sequence[Line], strong: str) -> RenderableType:
    """Cost and success of every model, by what the prompts demand; the deltas are to the strong one."""
    made = table("Models by complexity", "tier", "model", "prompts", "right", "$/1k", "accuracy_delta", "95 %")
    for line in lines:
        row = (f"{line.prompts:,}", f"{line.right:.1%}", f"{1000 * line.cost_usd:.3f}")
        delta = (f"{line.accuracy_delta:+.1%}", f"{line.low:+.1%} to {line.high:+.1%}")
        made.add_row(line.tier, short(line.model), *row, *(("", "") if line.model == strong else delta))
    return made


def shown(artifact: Artifact) -> RenderableType:
    """Tables, picture and what was proven; the notes alone for an artifact of a release that kept no more."""
    parts: list[RenderableType] = []
    if artifact.overview is not None:
        made, told = artifact.certificate, artifact.overview
        parts += [tier_table(told.lines, made.strong), picture(told.spots, made)]
    return Group(*parts, *certificate_notes(artifact))


def picture(spots: Sequence[Spot], certificate: Certificate) -> RenderableType:
    """Success over cost: models alone, the oracle, mixes by chance, the policies that were tried, the chosen one."""
    found = marks(spots, certificate)
    named = ", ".join(f"{mark.letter} {mark.name}" for mark in found if mark.name and mark.letter not in "OX")
    legend = f"{named}, O oracle, X chosen, + other policies, . mixes by chance"
    title = Text("Right answers over cost (the strong model's = 100 %)", style="bold")
    return Group(title, *_plot([(mark.cost, mark.right, mark.letter) for mark in found]), Text(legend))


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of the picture. ``cost``: as a share of the strong model's. ``name``: of a model, the oracle, chosen."""

    letter: str
    cost: float
    right: float
    name: str = ""


def marks(spots: Sequence[Spot], certificate: Certificate) -> list[Mark]:
    """Later marks lie over earlier ones."""
    strong = next(spot for spot in spots if spot.name == certificate.strong)
    others = [spot for spot in spots if spot.name not in (certificate.strong, "oracle")]
    found = [*_mixes(others, strong), *(_policy(point, strong) for point in certificate.curve)]
    found.append(Mark("S", strong.cost, strong.right, short(strong.name)))
    found += [Mark("O", spot.cost, spot.right, "oracle") for spot in spots if spot.name == "oracle"]
    letters = zip("abcdefghijklm", others, strict=False)
    found += [Mark(letter, spot.cost, spot.right, short(spot.name)) for letter, spot in letters]
    if certificate.chosen is not None:
        found.append(replace(_policy(certificate.chosen, strong), letter="X", name="chosen"))
    return found


def _mixes(others: Sequence[Spot], strong: Spot) -> Iterator[Mark]:
    for spot in others:
        for step in range(1, 20):
            share = step / 20
            cost, right = (1 - share) * spot.cost + share * strong.cost, (1 - share) * spot.right + share * strong.right
            yield Mark(".", cost, right)


def _policy(point: Point, strong: Spot) -> Mark:
    return Mark("+", 1 - point.saving, strong.right - point.pairs.loss)


def _plot(points: Sequence[tuple[float, float, str]]) -> Iterator[Text]:
    right = max(cost for cost, _, _ in points)
    low, high = min(y for _, y, _ in points), max(y for _, y, _ in points)
    field = [[" "] * (_WIDTH + 1) for _ in range(_HEIGHT + 1)]
    for cost, y, mark in points:
        field[round(_HEIGHT * (high - y) / ((high - low) or 1))][round(_WIDTH * cost / (right or 1))] = mark
    for number, line in enumerate(field):
        label = f"{high - (high - low) * number / _HEIGHT:6.1%}" if number % 5 == 0 else " " * 6
        yield Text(f"{label} |{''.join(line)}")
    yield Text(f"{'':6} +{'-' * (_WIDTH + 1)}")
    yield Text(f"{'':7}0 %{f'{right:.0%}':>{_WIDTH - 1}}")


def certificate_notes(artifact: Artifact) -> Iterator[Text]:
    """What was proven, of what, and what is missing."""
    made = artifact.certificate
    yield Text(f"Verdict: {_SAYS[made.verdict]}.", style="bold green" if made.verdict is Verdict.ROUTE else "bold red")
    when = datetime.fromtimestamp(artifact.made_at, UTC).strftime("%Y-%m-%d %H:%M")
    if artifact.cascade:
        first = next(model for model in made.models if model != made.strong)
        yield Text(f"A cascade: {first} answers first and is paid for; what is not taken {made.strong} answers.")
    yield Text(
        f"Made {when} UTC; fitted to {artifact.fitted_on:,} prompts, certified on {made.tested:,}; strong model "
        f"{made.strong}, others {', '.join(model for model in made.models if model != made.strong)}."
    )
    if made.chosen is not None:
        yield _chosen(made.chosen, made.promise, _ROUTED[artifact.cascade])
    if artifact.report is not None:
        told = artifact.report
        yield Text(
            f"On {told.pairs.tested:,} prompts that decided nothing: {told.saving:.1%} saved, "
            f"right {told.pairs.loss:.2%} less often."
        )
    if made.needed is not None:
        yield Text(f"Missing: about {made.needed:,} calibration prompts in all; {made.tested:,} are there.")
    yield from _prices(artifact)


def _chosen(point: Point, promise: Promise, routed: str) -> Text:
    return Text(
        f"Chosen: {point.routed:.0%} of prompts {routed}, and {point.saving:.1%} of the strong model's cost is "
        f"saved (at least {point.least_saving:.1%}). {point.pairs.lost:,} answers were lost, {point.pairs.won:,} won: "
        f"right at most {point.upper:.2%} less often; allowed {promise.epsilon:.2%} ({1 - promise.error:.0%} "
        f"confidence, {promise.bound} bound). Per successful output {point.worth:.1%} is saved at least."
    )


def _prices(artifact: Artifact) -> Iterator[Text]:
    for model, price in artifact.prices.items():
        if price is None:
            yield Text(f"Price of {model}: not known; a change of it is not noticed.")
        else:
            dollars = (_per_million(usd) for usd in (price.input_usd, price.output_usd))
            yield Text(f"Holds for {model} at {' in, '.join(dollars)} out per million tokens.")


def _per_million(usd: Decimal) -> str:
    return f"${(1_000_000 * usd).normalize():f}"
