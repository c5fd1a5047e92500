"""Invoices to add up: what can be checked without asking anybody, and told apart by more than its numbers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from examples.traffic.truth import Truth

if TYPE_CHECKING:
    from fivelevers.output import Output

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


@dataclass(frozen=True, slots=True)
class Sum:
    prompt: str
    truth: Truth

    def line(self) -> dict[str, Any]:
        """As `fivelevers route benchmark` reads it."""
        return {"prompt": self.prompt, "sum": self.truth.value, "route": "invoices"}


def sums(seed: int) -> Iterator[Sum]:
    """Without end, and no two alike."""
    rng = random.Random(seed)
    while True:
        a, b, c = (rng.randint(12, 97) for _ in range(3))
        customer, *things = (" ".join(_word(rng) for _ in range(3)) for _ in range(3))
        said = f"An invoice to {customer} of {a} {things[0]} at {b} euros each, and {c} euros for {things[1]}."
        yield Sum(f"{said}\n\nWhat is {a} * {b} + {c}?", Truth("number", a * b + c))


def _word(rng: random.Random) -> str:
    return "".join(rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(3))


def right(output: Output, line: Mapping[str, Any]) -> bool:
    """The check of `fivelevers route benchmark --python`."""
    return Truth("number", line["sum"]).holds(output.text)
