"""What the builders share: the material, arrival times, and the form of a line."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

Line = dict[str, Any]
DAY_S = 7_200.0  # the traffic of two hours
MATERIAL = Path(__file__).parent.parent / "material"


def material(name: str) -> Any:
    return yaml.safe_load((MATERIAL / f"{name}.yaml").read_text(encoding="utf-8"))


def line(
    workload: str, api: str, *, at: float, tenant: str, session: str, body: dict[str, Any], truth: Any = None
) -> Line:
    return {
        "at": round(at, 1),
        "tenant": tenant,
        "session": session,
        "api": api,
        "workload": workload,
        "body": body,
        "truth": truth,
    }


def contains(fact: str | None) -> dict[str, str] | None:
    return None if fact is None else {"check": "contains", "value": fact}


def bursts(
    rng: random.Random, count: int, *, peaks_s: Sequence[float], width_s: float, background: float
) -> list[float]:
    """`count` moments of the day in order: most crowd around the peaks, the share `background` falls anywhere."""
    moments = []
    for _ in range(count):
        peak = rng.gauss(rng.choice(peaks_s), width_s)
        moments.append(rng.uniform(0, DAY_S) if rng.random() < background else min(max(peak, 0.0), DAY_S))
    return sorted(moments)


def streamed(rng: random.Random, share: float) -> dict[str, Any]:
    return {"stream": True} if rng.random() < share else {}
