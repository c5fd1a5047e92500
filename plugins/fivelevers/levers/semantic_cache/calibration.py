"""What a calibration says: what a route may serve, how sure that is, and what it holds for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from fivelevers.errors import CalibrationError
from fivelevers.levers.semantic_cache.score import FEATURES
from fivelevers.levers.semantic_cache.serve import Rule

VERSION = 1


class Verdict(StrEnum):
    SERVE = "serve"
    DO_NOT_SERVE = "do-not-serve"  # more judging would not help: the answers are wrong too often
    NEED_MORE = "need-more"


@dataclass(frozen=True, slots=True)
class Point:
    """One share that was tried: of all questions, how many had been served, how many of these wrong, and how many the
    model expected to be.
    """

    share: float
    threshold: float
    hits: int
    wrong: int
    expected: float
    upper: float


@dataclass(frozen=True, slots=True)
class Holds:
    """What a calibration holds for: another embedder, model or prompt re-opens it."""

    embedder: str
    models: tuple[str, ...]
    prompts: tuple[str, ...]

    def for_model(self, model: str) -> bool:
        """Whether answers of this model were among those that were judged; labelled pairs name none."""
        return not self.models or model in self.models


@dataclass(frozen=True, slots=True)
class Calibration:
    """``rule`` is what decides where the verdict is to serve; ``chosen`` the share that is served then, ``proven`` the
    loosest that passed. ``needed``: questions to judge before another try can pass, None where more would not help.
    """

    verdict: Verdict
    max_wrong: float
    questions: int
    tested: int
    first_at: float
    last_at: float
    holds: Holds
    rule: Rule = Rule()  # noqa: RUF009  frozen, so one default serves all
    chosen: Point | None = None
    proven: Point | None = None
    needed: int | None = None
    curve: tuple[Point, ...] = ()
    version: int = VERSION

    @property
    def serves(self) -> bool:
        return self.verdict is Verdict.SERVE

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Calibration:
        """Raises CalibrationError on what this release did not write."""
        try:
            rule, holds = found["rule"], found["holds"]
            if found["version"] != VERSION or len(rule["weights"]) != len(FEATURES) + 1:
                raise CalibrationError(f"calibration: version {found['version']} is of another release; calibrate anew")
            read = {
                "verdict": Verdict(found["verdict"]),
                "rule": Rule(**{**rule, "weights": tuple(rule["weights"])}),
                "chosen": found["chosen"] and Point(**found["chosen"]),
                "proven": found["proven"] and Point(**found["proven"]),
                "curve": tuple(Point(**point) for point in found["curve"]),
                "holds": Holds(holds["embedder"], tuple(holds["models"]), tuple(holds["prompts"])),
            }
            return cls(**{**found, **read})
        except (KeyError, TypeError, ValueError) as error:
            raise CalibrationError(f"calibration: can not be read: {error!r}; calibrate anew") from error
