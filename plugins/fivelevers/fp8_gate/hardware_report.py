"""The file that `--hardware-report` names: both models' loads, or the reports of the tool that measured them.

    {"gpu": "H100 SXM", "gpus": 1, "vllm": "0.23.0", "service_level": {"p95_ttft_ms": 500, "p95_itl_ms": 50},
     "baseline": ["bf16-512.json", "bf16-2048.json"], "candidate": ["fp8-512.json", "fp8-2048.json"]}

Names are relative to the file. The first report of each is of the route's own load, at several concurrencies; of each
shape of load, the operating point within the service level counts (levers/quantization/service_level.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fivelevers.errors import QuantizationError
from fivelevers.levers.quantization.bench_reports import FIX, Tried, kind_of, parsed, tried
from fivelevers.levers.quantization.measurement import Measurement, Text
from fivelevers.levers.quantization.service_level import LIMIT, judged, points
from fivelevers.levers.quantization.verdict import Finding

_SUCH: Final = ("p95_ttft_ms", "p99_itl_ms", "p95_tpot_ms", "p90_e2el_ms")
_FIX: Final = "write it as docs/quantization.md shows"


class Reports(BaseModel):
    """``service_level``: limits in milliseconds, by names such as `p95_ttft_ms`."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    gpu: Text
    gpus: Annotated[int, Field(ge=1)] = 1
    vllm: Text
    service_level: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(min_length=1)
    baseline: list[Text] = Field(min_length=1)
    candidate: list[Text] = Field(min_length=1)

    @field_validator("service_level")
    @classmethod
    def _limits(cls, found: dict[str, float]) -> dict[str, float]:
        for name in found:
            if not LIMIT.fullmatch(name):
                raise ValueError(f"{name!r} is no limit; write one such as {', '.join(_SUCH)}")
        return found

    @model_validator(mode="after")
    def _apart(self) -> Reports:
        for name in self.baseline:
            if name in self.candidate:
                raise ValueError(f"{name} is a report of both models; name one of each")
        return self


@dataclass(frozen=True, slots=True)
class Measured:
    """``findings``: of the operating points; none where the file has loads of its own, which were chosen before."""

    made: Measurement
    findings: tuple[Finding, ...] = ()


def read(path: Path) -> Measured:
    """Raises QuantizationError, OSError."""
    try:
        found = _about(path)
        return _chosen(path.parent, Reports.model_validate(found)) if _named(found) else _own(found)
    except ValidationError as error:
        raise QuantizationError(f"--hardware-report: {path}: {_first(error)}; {_FIX}") from error
    except ValueError as error:
        raise QuantizationError(f"--hardware-report: {path}: {error}; {_FIX}") from error


def _about(path: Path) -> object:
    """Raises ValueError, OSError."""
    rows = parsed(path.read_text(encoding="utf-8"))
    kind = kind_of(rows)
    if kind is not None:
        raise ValueError(f"is {kind}'s report of one model; name those of both in a file of their own")
    return rows[0]


def _own(found: object) -> Measured:
    return Measured(Measurement.model_validate_json(json.dumps(found)))


def _named(found: object) -> bool:
    """Whether one of its loads is the name of a file."""
    sides = [found.get(side) for side in ("baseline", "candidate")] if isinstance(found, dict) else []
    return any(isinstance(one, str) for side in sides if isinstance(side, list) for one in side)


def _chosen(folder: Path, about: Reports) -> Measured:
    """Raises QuantizationError, OSError."""
    sides = [_loads(folder, names) for names in (about.baseline, about.candidate)]
    tools = sorted({one.by for side in sides for one in side})
    if len(tools) > 1:
        why = f"{' and '.join(tools)} measure otherwise; measure both models with one of them"
        raise QuantizationError(f"--hardware-report: {why}")
    try:
        baseline, candidate = (points(side, about.service_level) for side in sides)
    except ValueError as error:
        raise QuantizationError(f"--hardware-report: {error}") from error
    made = Measurement(
        gpu=about.gpu,
        gpus=about.gpus,
        vllm=about.vllm,
        service_level=", ".join(f"{name} {limit:g}" for name, limit in about.service_level.items()),
        baseline=[one.load for one in baseline],
        candidate=[one.load for one in candidate],
    )
    return Measured(made, (judged(baseline[0], candidate[0], about.service_level),))


def _loads(folder: Path, names: Sequence[str]) -> list[Tried]:
    """Raises QuantizationError, OSError."""
    return [one for name in names for one in _of_file(folder / name, name)]


def _of_file(path: Path, name: str) -> list[Tried]:
    text = path.read_text(encoding="utf-8")
    try:
        rows = parsed(text)
    except ValueError as error:
        raise QuantizationError(f"--hardware-report: {path}: is no JSON ({error})") from error
    kind = kind_of(rows)
    if kind is None:
        raise QuantizationError(f"--hardware-report: {path}: is a report of neither tool; {'; or '.join(FIX.values())}")
    try:
        return tried(rows, kind, name)
    except ValidationError as error:
        raise QuantizationError(f"--hardware-report: {path}: {_first(error)}; {FIX[kind]}") from error


def _first(error: ValidationError) -> str:
    """Field, rule and value."""
    first = error.errors(include_url=False)[0]
    where, value = ".".join(map(str, first["loc"])) or "the file", first["input"]
    shown = f" (it is {value!r})" if isinstance(value, str | int | float) and first["type"] != "missing" else ""
    return f"{where}: {first['msg']}{shown}"
