"""What every page is made of: the document, sections, figures for both widths, tables, tiles."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from fivelevers.pages.markup import Markup, element
from fivelevers.pages.style import STYLE

WIDE: Final = 940.0
NARROW: Final = 330.0
"""Widths that a chart is drawn for, in CSS pixels; its text keeps its size."""

Draw = Callable[[float], Markup]
"""A chart, as it is drawn for a width."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One number that the page is about. ``tone``: `good`, `bad` or nothing."""

    name: str
    value: str
    beside: str = ""
    tone: str = ""


def document(title: str, *body: str, kind: str) -> str:
    """One file that opens offline: no script, no font, no picture from elsewhere; its policy lets none in."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content="default-src 'none'; style-src 'unsafe-inline'"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    brand = element("div", f"fivelevers {kind}", class_="brand")
    page = element("html", head, element("body", element("main", brand, *body)), lang="en")
    return f"<!doctype html>\n{page}\n"


def section(title: str, *inside: str) -> Markup:
    return element("section", element("h2", title), *inside)


def tiles(shown: Iterable[Tile]) -> Markup:
    return element("div", *(_tile(tile) for tile in shown), class_="tiles")


def _tile(tile: Tile) -> Markup:
    return element(
        "div",
        element("div", tile.name, class_="name"),
        element("div", tile.value, class_=f"value {tile.tone}".strip()),
        element("div", tile.beside, class_="beside") if tile.beside else "",
        class_="tile",
    )


def figure(draw: Draw) -> Markup:
    """The chart for wide windows and for narrow ones; the sheet shows one of them."""
    drawn = (element("div", draw(width), class_=name) for name, width in (("wide", WIDE), ("narrow", NARROW)))
    return element("figure", *drawn)


def small(caption: str, drawn: Markup) -> Markup:
    """A chart that is as wide in every window, beneath what it shows."""
    return element("figure", element("figcaption", caption), drawn)


def svg(width: float, height: float, title: str, told: str, *inside: str) -> Markup:
    """A picture with a name and, for who can not see it, what it shows."""
    label = element("title", title), element("desc", told)
    box = f"0 0 {width:.0f} {height:.0f}"
    return element("svg", *label, *inside, viewBox=box, role="img", aria_label=f"{title}. {told}")


def words(text: str, x: float, y: float, class_: str = "", anchor: str = "start") -> Markup:
    """Text in a picture; ``anchor``: start, middle or end."""
    return element("text", text, x=x, y=y, class_=class_ or None, text_anchor=None if anchor == "start" else anchor)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int = 1, total: bool = False) -> Markup:
    """The first ``texts`` columns are text, the others numbers; with ``total`` the last row is a sum."""
    body = list(rows)
    lines = [
        element("tr", *_cells("td", row, texts), class_="sum" if total and at == len(body) - 1 else None)
        for at, row in enumerate(body)
    ]
    made = element("table", element("thead", element("tr", *_cells("th", head, texts))), element("tbody", *lines))
    return element("div", made, class_="table")


def _cells(name: str, row: Sequence[str], texts: int) -> Iterable[Markup]:
    for at, cell in enumerate(row):
        yield element(name, cell, class_="words" if 0 < at < texts else None, scope="col" if name == "th" else None)


def note(*text: str) -> Markup:
    return element("p", *text, class_="note")


def items(texts: Iterable[str]) -> Markup:
    return element("ul", *(element("li", text) for text in texts), class_="plain")


def folded(summary: str, *inside: str) -> Markup:
    """Opened by who wants to know; no script is needed for it."""
    return element("details", element("summary", summary), *inside)


def key(entries: Iterable[tuple[str, str, bool]]) -> Markup:
    """(name, colour, filled) of what a picture shows."""
    return element("ul", *(element("li", _swatch(colour, full), name) for name, colour, full in entries), class_="key")


def _swatch(colour: str, filled: bool) -> Markup:
    paint = f"border-color: var(--{colour})" + (f"; background: var(--{colour})" if filled else "")
    return element("span", class_="swatch", style=paint)


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def short_title(title: str) -> str:
    """A lever's title as one word, for the head of a narrow column: `prompt`, `semantic`, `batch`, `routing`."""
    words_ = title.lower().split()
    return words_[1] if words_[0] in {"provider", "cost-aware"} else words_[0]


def short_model(model: str) -> str:
    """Without the date of its version."""
    return re.sub(r"-20\d{6}$|-20\d\d-\d\d-\d\d$", "", model)
