"""A folder of log files, as Spark, DuckDB and Polars write a table: partitioned by columns that its paths name."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from fivelevers.errors import AuditError

_COLUMN: Final = re.compile(r"([A-Za-z_]\w*)=(.+)")
_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
# Their folders hold the files of older versions too: only their own readers know which of them count.
_TABLES: Final = {"Delta": "_delta_log", "Iceberg": "metadata/*.metadata.json", "Hudi": ".hoodie"}


def files(folder: str) -> list[str]:
    """Every file below it, but what begins with a dot or an underscore. Raises AuditError."""
    for kind, mark in _TABLES.items():
        if any(Path(folder).glob(mark)):
            fix = "write its current rows out as Parquet: DuckDB's COPY (FROM delta_scan(...)) TO ..., for example"
            raise AuditError.of("log", folder, f"is a table of {kind}, which keeps files of old versions too", fix)
    found = sorted(path for path in Path(folder).rglob("*") if path.is_file() and not _is_hidden(path, folder))
    if not found:
        raise AuditError.of("log", folder, "is a folder without files", "name a log file, or a folder of some")
    return list(map(str, found))


def _is_hidden(path: Path, folder: str) -> bool:
    return any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)


@lru_cache(maxsize=64)
def columns(name: str) -> dict[str, str]:
    """What the folders of a path say of all rows of its file: ``date=2026-11-01/part-0.parquet``."""
    found = (_COLUMN.fullmatch(part) for part in Path(name).parts[:-1])
    return {one[1]: unquote(one[2]) for one in found if one and one[2] != _NULL}
