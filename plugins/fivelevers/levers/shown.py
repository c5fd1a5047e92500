"""What a judging model is shown of a text that somebody wrote."""

from __future__ import annotations


def shown(text: str, limit: int | None = None) -> str:
    """At most ``limit`` characters of it, of its head and its tail; it can not close the tag that it stands in."""
    return (text if limit is None else shortened(text, limit)).replace("</", "<\u2060/")


def shortened(text: str, limit: int) -> str:
    """Its head and its tail, ``limit`` characters together; what is left out between them is told."""
    missing = len(text) - limit
    if missing <= 0:
        return text
    head = limit // 2
    return f"{text[:head]}\n[{missing:,} characters are left out here]\n{text[head + missing :]}"
