"""Does the judge of answers agree with people: asked about answers that people have graded, as it is about all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fivelevers.levers.routing.bound import share_lower, share_upper
from fivelevers.output import Output
from fivelevers.request import Api
from fivelevers.route_benchmark.cases import Case
from fivelevers.route_benchmark.labels import Grader


@dataclass(frozen=True, slots=True)
class Graded:
    """An answer, and what a person says of it."""

    prompt: str
    answer: str
    right: bool
    expected: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of ``asked`` answers the judge ``decided`` some. ``lenient``: passed where people fail; ``strict``: the other."""

    asked: int
    decided: int
    lenient: int
    strict: int

    @property
    def agreed(self) -> int:
        return self.decided - self.lenient - self.strict

    @property
    def interval(self) -> tuple[float, float]:
        """Of the share that agrees, 95 %, exact (Clopper and Pearson 1934)."""
        if not self.decided:
            return 0.0, 1.0
        return share_lower(self.agreed, self.decided, 0.025), share_upper(self.agreed, self.decided, 0.025)


async def agreement(grader: Grader, sample: Sequence[Graded]) -> Agreement:
    """The answers to one prompt are shown together, as in the benchmark. Raises what `Calls.ask` raises."""
    prompts: dict[tuple[str, str | None], dict[str, Graded]] = {}
    for one in sample:
        prompts.setdefault((one.prompt, one.expected), {})[one.answer] = one
    found: list[tuple[bool, bool | None]] = []
    for (prompt, expected), answers in prompts.items():
        case = Case(Api.CHAT, {"messages": [{"role": "user", "content": prompt}]}, prompt, "", expected)
        said = await grader.grade(case, {text: Output(text) for text in answers})
        found += [(one.right, said[text]) for text, one in answers.items()]
    decided = [(person, judge) for person, judge in found if judge is not None]
    lenient, strict = (sum(judge is side and person is not side for person, judge in decided) for side in (True, False))
    return Agreement(len(found), len(decided), lenient, strict)
