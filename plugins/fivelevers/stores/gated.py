"""A gate's verdict as one file: a first line with its checksum, then JSON that people can read.

fivelevers-fp8 1 sha256:<of all that follows>
{...}
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from fivelevers.errors import QuantizationError
from fivelevers.levers.quantization.gated import Gated, Served
from fivelevers.levers.quantization.pricing import Rates
from fivelevers.levers.quantization.verdict import Verdict

VERSION: Final = 1
_NAME: Final = "fivelevers-fp8"
_FIX: Final = "run `fivelevers fp8 gate` again"


def write(path: Path, found: Gated) -> None:
    """Whole or not at all. Raises OSError."""
    body = json.dumps(record(found), indent=1).encode() + b"\n"
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(f"{_NAME} {VERSION} sha256:{sha256(body).hexdigest()}\n".encode() + body)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def read(path: Path) -> Gated:
    """Raises QuantizationError on a file that is none, is damaged or of another release; OSError."""
    first, _, body = path.read_bytes().partition(b"\n")
    words = first.decode("ascii", "replace").split()
    if len(words) != 3 or words[0] != _NAME:
        raise QuantizationError(f"{path}: is no verdict of a gate; {_FIX}")
    if words[1] != str(VERSION):
        raise QuantizationError(f"{path}: version {words[1]} is of another release; {_FIX}")
    if words[2] != f"sha256:{sha256(body).hexdigest()}":
        raise QuantizationError(f"{path}: is damaged, its checksum differs; {_FIX}")
    try:
        return _gated(json.loads(body))
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise QuantizationError(f"{path}: can not be read: {error!r}; {_FIX}") from error


def name_of(path: Path) -> str:
    """What a deployment calls a registration by: 12 hex digits of its checksum. Raises QuantizationError, OSError."""
    read(path)
    return path.read_bytes().partition(b"\n")[0].decode().rpartition(":")[2][:12]


def record(found: Gated) -> dict[str, Any]:
    """JSON-ready; rates as decimal texts, times as people read them."""
    made = asdict(replace(found, rates=None, baseline_rates=None))
    for name, rates in (("rates", found.rates), ("baseline_rates", found.baseline_rates)):
        made[name] = None if rates is None else {key: str(value) for key, value in asdict(rates).items()}
    made["made_at"] = datetime.fromtimestamp(found.made_at, UTC).isoformat()
    return made | {"verdict": found.verdict.value}


def _gated(found: Mapping[str, Any]) -> Gated:
    parts = {name: value for name, value in found.items() if name != "verdict"}
    return Gated(**parts | {
        "made_at": datetime.fromisoformat(parts["made_at"]).timestamp(),
        "quality": Verdict(parts["quality"]),
        "economics": Verdict(parts["economics"]),
        "findings": tuple((rule, Verdict(verdict), why) for rule, verdict, why in parts["findings"]),
        "baseline": Served(**parts["baseline"]),
        "candidate": Served(**parts["candidate"]),
        "lost": tuple(parts["lost"]),
        "won": tuple(parts["won"]),
        "rates": _rates(parts["rates"]),
        "baseline_rates": _rates(parts["baseline_rates"]),
    })  # fmt: skip


def _rates(found: Mapping[str, str] | None) -> Rates | None:
    if found is None:
        return None
    usd = {name: Decimal(found[name]) for name in ("input_usd", "output_usd", "cached_usd")}
    return Rates(**usd, worst=float(found["worst"]))
