"""Did the answer do its job? Several sources may say; the strongest one decides, and silence is unknown."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """Unknown is counted apart, never as a success."""

    SUCCESS = "success"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """Who says so, strongest first."""

    EXPLICIT = "explicit"  # the caller reported it
    VALIDATOR = "validator"  # the route's own check of the answer
    PROVIDER = "provider"  # an error, or an answer cut short
    REPEAT = "repeat"  # the same request came again, on a route where that means retry


_WEAKEST_FIRST = tuple(reversed(Source))


@dataclass(frozen=True, slots=True)
class Observation:
    """One source's word on one answer, at `at` (seconds since the epoch)."""

    source: Source
    outcome: Outcome
    at: float


_SILENCE = Observation(Source.REPEAT, Outcome.UNKNOWN, 0.0)


def resolve(observations: Iterable[Observation]) -> Outcome:
    """The outcome by the strongest source that knows one, its latest word first; success and failure at once: failure.

    The order in which the observations arrive does not matter.
    """
    known = (seen for seen in observations if seen.outcome is not Outcome.UNKNOWN)
    return max(known, key=_weight, default=_SILENCE).outcome


def _weight(seen: Observation) -> tuple[int, float, bool]:
    return _WEAKEST_FIRST.index(seen.source), seen.at, seen.outcome is Outcome.FAILURE
