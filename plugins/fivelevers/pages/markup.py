"""HTML and SVG, put together so that nothing from outside can be taken for markup.

``element`` is the only way to make markup: what goes into it is escaped, unless it came out of it. Names of routes and
models are text of strangers.
"""

from __future__ import annotations

from html import escape
from unicodedata import category

_VOID = {"meta", "line", "rect", "circle", "path", "polyline"}
_NOT_HELD = {"Cc", "Cn"}


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def element(name: str, /, *inside: str, **attributes: object) -> Markup:
    """``<name attributes>inside</name>``. A trailing ``_`` of an attribute is dropped, others become ``-``; None and
    False leave it out. ``inside``: text, which is escaped, or markup, which is not."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_value(value))}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in _VOID and not inside:
        return Markup(f"<{name}{written}>" if name == "meta" else f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{together(*inside)}</{name}>")


def together(*parts: str) -> Markup:
    """Markup of these parts, one after the other; what is text is escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escape(_clean(part)) for part in parts))


def _value(value: object) -> str:
    if isinstance(value, float):  # a tenth of a pixel is finer than any screen
        return f"{value:.1f}".removesuffix(".0")
    return _clean(str(value))


def _clean(text: str) -> str:
    """Without lone surrogates, control characters and noncharacters, which no HTML may hold."""
    printable = text.encode("utf-8", "replace").decode()
    return "".join(c if c in "\n\t" or category(c) not in _NOT_HELD else "\N{REPLACEMENT CHARACTER}" for c in printable)
