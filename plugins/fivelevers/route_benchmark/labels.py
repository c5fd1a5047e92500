"""Whether an answer is right: by checks of its text, or by a judge with a rubric. None: nobody can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from fivelevers.errors import ValidatorError
from fivelevers.levers.routing.prompt import transcript
from fivelevers.levers.routing.rubric import LONGEST, agreed, asked, distinct, heard
from fivelevers.levers.semantic_cache.judging import normalised
from fivelevers.metering.outcomes import Outcome
from fivelevers.metering.validators import PASSED, Check, Finding, Tools, judge
from fivelevers.output import Output
from fivelevers.request import Api, canonical_json
from fivelevers.route_benchmark.calls import Call, Calls
from fivelevers.route_benchmark.cases import Candidate, Case
from fivelevers.route_benchmark.replies import Ended
from fivelevers.tools import tools_of

JUDGE_TOKENS: Final = 1024  # a model that thinks first has to get to its verdict
LinePython = Callable[[Output, Mapping[str, Any]], object]


class Grader(Protocol):
    async def grade(self, case: Case, answers: Mapping[str, Output]) -> Mapping[str, bool | None]:
        """By model. Raises what `Calls.ask` raises."""


@dataclass(frozen=True, slots=True)
class Checks:
    """All of them have to pass. ``python``: an entry point that gets the answer and its prompt's line."""

    named: Sequence[tuple[str, Check]] = ()
    exact: bool = False
    python: tuple[str, LinePython] | None = None

    async def grade(self, case: Case, answers: Mapping[str, Output]) -> Mapping[str, bool | None]:
        """Raises ValidatorError where a check can not do its work: it would cost the rest, and label nothing."""
        checks = [*self.named, *self._of(case)]
        return {model: self._passes(checks, output, case) for model, output in answers.items()}

    def _of(self, case: Case) -> list[tuple[str, Check]]:
        found: list[tuple[str, Check]] = []
        if self.exact:
            found.append(("exact", _equals(case.expected or "")))
        if self.python is not None:
            found.append(("python", _says_so(*self.python, case.line)))
        return found

    def _passes(self, checks: Sequence[tuple[str, Check]], output: Output, case: Case) -> bool | None:
        found = judge(checks, output, tools_of(case.body))
        if found.problem is not None:
            raise found.problem
        return None if found.outcome is Outcome.UNKNOWN else found.outcome is Outcome.SUCCESS


def _equals(expected: str) -> Check:
    wanted = normalised(expected)

    def check(output: Output, tools: Tools) -> Finding:
        return PASSED if normalised(output.text) == wanted else Finding(Outcome.FAILURE, "is another text")

    return check


def _says_so(path: str, entry: LinePython, line: Mapping[str, Any]) -> Check:
    def check(output: Output, tools: Tools) -> Finding:
        said = entry(output, line)
        if not isinstance(said, bool):
            raise ValidatorError(f"python: {path} returned {type(said).__name__}; return True or False")
        return PASSED if said else Finding(Outcome.FAILURE, f"{path} said False")

    return check


@dataclass(frozen=True, slots=True)
class Judge:
    """A model of the proxy that reads a prompt's answers together, in both orders, and grades each by a rubric.

    None of an answer that is too long to be shown whole.
    """

    calls: Calls
    model: Candidate
    rubric: str

    async def grade(self, case: Case, answers: Mapping[str, Output]) -> Mapping[str, bool | None]:
        all_texts = {model: _text(output) for model, output in answers.items()}
        texts, place = distinct({model: text for model, text in all_texts.items() if len(text) <= LONGEST})
        if not texts:
            return dict.fromkeys(answers)
        first = await self._verdict(case, texts)
        turned = first if len(texts) < 2 or first is None else await self._verdict(case, texts[::-1])
        said = agreed(first, (first and first[::-1]) if len(texts) < 2 else turned)
        return dict.fromkeys(answers) | ({} if said is None else {model: said[at] for model, at in place.items()})

    async def _verdict(self, case: Case, texts: Sequence[str]) -> tuple[bool, ...] | None:
        messages = asked(self.rubric, transcript(case.api, case.body, LONGEST), texts, case.expected)
        body = {"messages": messages, "temperature": 0, "drop_params": True}  # models that think take no temperature
        most = self.model.most_usd(len(canonical_json(body)), JUDGE_TOKENS)
        reply = await self.calls.ask(Call(self.model, Api.CHAT, body, most, JUDGE_TOKENS))
        return heard(reply.output.text, len(texts)) if reply.ended is Ended.ANSWERED else None


def _text(output: Output) -> str:
    return "\n".join([output.text, *(f"(calls {call.name} with {call.arguments})" for call in output.tool_calls)])
