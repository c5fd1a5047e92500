"""An export of any known provider: the format is told from its fields. Bytes in, lines out; nothing is fetched."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from fivelevers.errors import ExportError
from fivelevers.metering.exports.lines import Export
from fivelevers.providers.cost_exports import anthropic_export, litellm_logs, openai_export
from fivelevers.providers.cost_exports.rows import Table, decode


class Format(StrEnum):
    AUTO = "auto"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    LITELLM = "litellm"


_PARSERS: Final[dict[Format, Callable[[Table], Export]]] = {
    Format.OPENAI: openai_export.parse,
    Format.ANTHROPIC: anthropic_export.parse,
    Format.LITELLM: litellm_logs.parse,
}
# A field that this format alone has, in each of its shapes.
_MARKS: Final = {
    Format.LITELLM: {"spend"},
    Format.ANTHROPIC: {"starting_at", "usage_date_utc"},
    Format.OPENAI: {"start_time"},
}


def read(data: bytes, file: str, format_: Format = Format.AUTO) -> Export:
    """Raises ExportError with the place, the value and what to do."""
    table = decode(data, file)
    if format_ is Format.AUTO:
        format_ = _told_by_fields(table)
    return _PARSERS[format_](table)


def _told_by_fields(table: Table) -> Format:
    for format_, marks in _MARKS.items():
        if not table.fields.isdisjoint(marks):
            return format_
    names = ", ".join(sorted(table.fields)[:6])
    raise ExportError.of("export", names, "are fields of no known export", "name it with --format", file=table.file)
