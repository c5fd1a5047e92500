"""What a gate says, and how several findings make one verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    PASS = "pass"  # noqa: S105  # a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"  # blocks as a failure does; more or better evidence may change it


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule found. ``why`` is for people, with the numbers."""

    rule: str
    verdict: Verdict
    why: str


def together(findings: Iterable[Finding]) -> Verdict:
    """One failure fails; else what is left open leaves all open. Without findings nothing was shown."""
    found = {finding.verdict for finding in findings}
    if Verdict.FAIL in found:
        return Verdict.FAIL
    return Verdict.PASS if found == {Verdict.PASS} else Verdict.INCONCLUSIVE
