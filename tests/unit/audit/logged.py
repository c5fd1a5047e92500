"""Calls and log rows for the tests of the audit."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow

from fivelevers.audit.answers import Said
from fivelevers.audit.asked import asked_of
from fivelevers.audit.calls import Account, LoggedCall
from fivelevers.audit.prompts import prompt
from fivelevers.audit.read import read
from fivelevers.policy import Caller
from fivelevers.prices import Usage
from fivelevers.request import Api

SONNET = "claude-sonnet-4-5"


def call(
    at: float,
    *,
    body: Mapping[str, Any] | None = None,
    model: str = SONNET,
    said: Said | None = None,
    ended: float | None = None,
    **usage: int,
) -> LoggedCall:
    """A call to Anthropic; without a body its prompt is not in the log."""
    counted = Usage(**usage)
    text, request, opening = prompt(Api.MESSAGES, body or {}, counted.prompt)
    return LoggedCall(
        place=f"test:{at}",
        at=at,
        model=model,
        provider="anthropic",
        deployment=None,
        alias="agent",
        caller=Caller("", {}, "key-1"),
        route=None,
        usage=counted,
        logged_usd=None,
        text=text,
        request=request,
        opening=opening,
        asked=asked_of(request, body or {}, said, ended),
    )


def pack(data: bytes, suffix: str) -> bytes:
    """Packed with what a file of that suffix is packed with; as it is for any other."""
    if suffix == ".zst":
        packed = pyarrow.BufferOutputStream()
        with pyarrow.CompressedOutputStream(packed, "zstd") as stream:
            stream.write(data)
        return bytes(packed.getvalue())
    return gzip.compress(data) if suffix == ".gz" else data


def write(path: Path, rows: Iterable[Any]) -> Path:
    """JSON lines; packed where the name says so. Text stays as it is."""
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_bytes(pack(text.encode(), path.suffix))
    return path


def read_all(path: Path) -> tuple[list[LoggedCall], Account]:
    account = Account()
    return list(read(str(path), account)), account
