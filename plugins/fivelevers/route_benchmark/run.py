"""A benchmark: every prompt on every candidate, and each answer's label."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fivelevers.request import Api
from fivelevers.route_benchmark.budget import BudgetSpentError
from fivelevers.route_benchmark.calls import Call, Calls
from fivelevers.route_benchmark.cases import Candidate, Case
from fivelevers.route_benchmark.labels import Grader
from fivelevers.route_benchmark.replies import Ended, Reply


@dataclass(frozen=True, slots=True)
class Labelled:
    """One prompt's answers and their labels, by model; None: no label."""

    case: Case
    replies: Mapping[str, Reply]
    right: Mapping[str, bool | None]

    @property
    def whole(self) -> bool:
        return all(right is not None for right in self.right.values())

    def line(self) -> dict[str, Any]:
        """As `fivelevers route fit` reads it. ``answers``: those that are text; of a failure there is none.

        ``chances``: of their tokens, where they told them.
        """
        tokens = {model: list(reply.tokens) for model, reply in self.replies.items()}
        told = {"prompt": self.case.prompt, "route": self.case.route, "correct": dict(self.right), "tokens": tokens}
        texts = {model: reply for model, reply in self.replies.items() if not reply.output.tool_calls}
        ended = Ended.ANSWERED
        told["answers"] = {name: one.output.text if one.ended is ended else "" for name, one in texts.items()}
        sure = {name: list(one.chances) for name, one in texts.items() if one.ended is ended and one.chances}
        return told | ({"chances": sure} if sure else {})


@dataclass(slots=True)
class Benchmark:
    """``max_tokens``: of an answer whose request does not say. ``workers``: prompts at once. ``logprobs``: chat
    completions are asked for the log-probabilities of their tokens; a model that has none goes without.

    ``spent``: the budget ended it; what is known already still counts. ``problem``: what ended it else.
    """

    calls: Calls
    candidates: Sequence[Candidate]
    grader: Grader
    max_tokens: int
    batch: bool = False
    logprobs: bool = False
    spent: bool = False
    problem: Exception | None = None
    _done: list[Labelled] = field(default_factory=list)

    async def run(self, cases: Sequence[Case], workers: int, told: Callable[[], None]) -> list[Labelled]:
        """Those that were asked of all candidates, in the order of ``cases``. Raises FiveLeversError, OSError.

        What is on its way when it has to end is waited for: it is paid for.
        """
        waiting = iter(cases)
        await asyncio.gather(*(self._work(waiting, told) for _ in range(min(workers, len(cases)))))
        if self.problem is not None:
            raise self.problem
        place = {case.key: at for at, case in enumerate(cases)}
        return sorted(self._done, key=lambda one: place[one.case.key])

    async def _work(self, waiting: Iterator[Case], told: Callable[[], None]) -> None:
        for case in waiting:
            if self.problem is not None:
                return
            if self.spent and not self._known(case):
                continue
            try:
                self._done.append(await self._labelled(case))
            except BudgetSpentError:
                self.spent = True
            except Exception as error:  # whatever it is: the others wait for what they have paid for, and then end
                self.problem = self.problem or error
            else:
                told()

    def _known(self, case: Case) -> bool:
        return all(self.calls.known(self.call(case, one)) is not None for one in self.candidates)

    async def _labelled(self, case: Case) -> Labelled:
        calls = (self.calls.ask(self.call(case, one), batch=self.batch) for one in self.candidates)
        replies = await asyncio.gather(*calls, return_exceptions=True)
        for reply in replies:
            if isinstance(reply, BaseException):
                raise reply
        told = (reply for reply in replies if isinstance(reply, Reply))
        named = dict(zip((one.name for one in self.candidates), told, strict=True))
        answers = {name: reply.output for name, reply in named.items() if reply.ended is Ended.ANSWERED}
        right: dict[str, bool | None] = dict.fromkeys(named)
        right |= {name: False for name, reply in named.items() if reply.ended is Ended.FAILED}
        if answers and all(reply.ended in (Ended.ANSWERED, Ended.FAILED) for reply in named.values()):
            right |= await self.grader.grade(case, answers)
        return Labelled(case, named, right)

    def call(self, case: Case, candidate: Candidate) -> Call:
        """As it is sent."""
        limit = case.limit or self.max_tokens
        most = candidate.most_usd(case.bytes, limit, tools=case.tools)
        more = {"logprobs": True, "drop_params": True} if self.logprobs and case.api is Api.CHAT else {}
        return Call(candidate, case.api, {**case.body, **more}, most, None if case.limit else limit)
