"""What a solver hands back: the right answer and plausible wrong ones."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["arithmetic", "classification", "comparison", "extraction", "look-up"]
Difficulty = Literal["easy", "medium", "hard"]


@dataclass(frozen=True, slots=True)
class Solution:
    """`right` and `wrong` are bare: a number, a label, a JSON object, a fact's line. Worded later."""

    kind: Kind
    right: str
    wrong: tuple[str, ...]
    difficulty: Difficulty
