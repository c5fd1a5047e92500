"""How a gate's verdict looks: in a terminal, and as a picture."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from fivelevers.cli.tables import table
from fivelevers.levers.quantization.gated import Gated
from fivelevers.levers.quantization.verdict import Verdict
from fivelevers.pages.markup import Markup, element

_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.INCONCLUSIVE: "yellow"}
_COLOURS = {Verdict.PASS: "seagreen", Verdict.FAIL: "firebrick", Verdict.INCONCLUSIVE: "goldenrod"}
_MOST_FLIPS = 20


def shown(found: Gated) -> RenderableType:
    parts: list[RenderableType] = [
        Text(
            f"{found.route}: {_name(found.candidate.root)} against {_name(found.baseline.root)}, {found.items:,} items"
        )
    ]
    rules = table("What was found", "rule", "verdict", "why")
    rules.columns[2].justify, rules.columns[2].no_wrap = "left", False
    for rule, verdict, why in found.findings:
        rules.add_row(rule, Text(verdict.value, style=_STYLES[verdict]), why)
    parts.append(rules)
    if found.lost or found.won:
        parts.append(Text(f"Flipped: {len(found.lost)} lost, {len(found.won)} won: {_flips(found)}"))
    if found.rates is not None:
        usd = (found.rates.input_usd, found.rates.output_usd, found.rates.cached_usd)
        told = " / ".join(f"${1_000_000 * one:.4f}" for one in usd)
        parts.append(
            Text(f"A million tokens (in / out / cached): {told}; the loads are met within {found.rates.worst:.0%}")
        )
    if found.needed is not None and found.quality is Verdict.INCONCLUSIVE:
        parts.append(Text(f"Items that would decide it, if nothing is lost: {found.needed:,}"))
    for name, verdict in (("Quality", found.quality), ("Economics", found.economics)):
        parts.append(Text(f"{name}: {verdict.value.upper()}", style=f"bold {_STYLES[verdict]}"))
    if found.passed:
        parts.append(Text("Next: fivelevers fp8 register"))
    return Group(*parts)


def _name(root: str | None) -> str:
    return (root or "a model").rstrip("/").rpartition("/")[2]


def _flips(found: Gated) -> str:
    """By their names: their texts stand in the journal."""
    named = [*(f"-{name}" for name in found.lost), *(f"+{name}" for name in found.won)]
    more = f" and {len(named) - _MOST_FLIPS:,} more" if len(named) > _MOST_FLIPS else ""
    return " ".join(named[:_MOST_FLIPS]) + more


def picture_svg(found: Gated) -> str:
    """The difference with its bound against the margin, and the saving beside it."""
    width, left, middle = 720, 60, 90
    reach = max(2.5 * found.margin, abs(found.difference) * 1.2, abs(found.low) * 1.2)

    def x(value: float) -> float:
        return left + (width - 2 * left) * (value + reach) / (2 * reach)

    colour = _COLOURS[found.quality]
    title = f"{found.route}: quality {found.quality}, economics {found.economics}"
    saving = "cost not measured" if found.saving is None else f"a successful output costs {-found.saving:+.1%}"
    parts: list[Markup] = [
        element("title", title),
        element("style", "text { font: 13px sans-serif }"),
        element("rect", width="100%", height="100%", fill="white"),
        element("text", title, x=left, y=28),
        element("line", x1=left, x2=width - left, y1=middle, y2=middle, stroke="silver"),
        *_mark(x(0.0), middle, "black", "as good"),
        *_mark(x(-found.margin), middle, "firebrick", f"margin {-found.margin:+.1%}"),
        element("line", x1=x(found.low), x2=x(found.difference), y1=middle, y2=middle, stroke=colour, stroke_width=5),
        element("circle", cx=x(found.difference), cy=middle, r=7, fill=colour),
        element("text", f"{found.difference:+.2%}, at least {found.low:+.2%}", x=left, y=middle + 50),
        element(
            "text", f"{found.items:,} items; {len(found.lost)} lost, {len(found.won)} won; {saving}", x=left, y=160
        ),
    ]
    return (
        str(element("svg", *parts, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width} 180", role="img")) + "\n"
    )


def _mark(x: float, y: float, colour: str, name: str) -> tuple[Markup, Markup]:
    line = element("line", x1=x, x2=x, y1=y - 22, y2=y + 22, stroke=colour, stroke_dasharray="4 3")
    return line, element("text", name, x=x, y=y - 28, text_anchor="middle", fill=colour)
