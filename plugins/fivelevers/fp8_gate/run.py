"""One gate: every item to both servers, each answer's label, and what the two read alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fivelevers.errors import ServerError
from fivelevers.fp8_gate.asking import Answered, Asking, Role
from fivelevers.fp8_gate.reading import drift, read, shared, tokens_of
from fivelevers.levers.quantization.drift import Drift
from fivelevers.levers.quantization.gate import Scored
from fivelevers.request import Api
from fivelevers.route_benchmark.cases import Case
from fivelevers.route_benchmark.labels import Checks


@dataclass(frozen=True, slots=True)
class Item:
    """``answers`` by role; those that did not come are not there."""

    case: Case
    answers: Mapping[Role, Answered]


@dataclass
class Evidence:
    """``unanswered``: by one of the two. ``unlabelled``: no check has anything to say of either answer; where it has of
    one alone, the other is no success. ``counted``: items whose prompts the two servers count differently. ``ended``:
    why a server was asked no more. ``unread``: why texts whose probabilities it tells were not read.
    """

    scored: list[Scored] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    counted: list[str] = field(default_factory=list)
    texts: list[Drift] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    unread: str = ""


@dataclass(frozen=True)
class Gate:
    """``repeat``: the share of items that the original is asked twice. ``read``: texts whose probabilities are told.

    ``at_once``: items on their way.
    """

    asking: Asking
    checks: Checks
    repeat: float = 0.3
    read: int = 100
    at_once: int = 16

    async def run(self, cases: Sequence[Case], told: Callable[[], None]) -> Evidence:
        """Raises QuantizationError where a server refuses all, ValidatorError where a check can not do its work."""
        waiting, items = iter(cases), list[Item]()

        async def work(waiting: Iterator[Case]) -> None:
            for case in waiting:
                items.append(await self._item(case))
                told()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.at_once, len(cases))):
                    group.create_task(work(waiting))
        except ExceptionGroup as failed:  # one refusal is all refusals
            raise failed.exceptions[0] from failed
        place = {case.key: at for at, case in enumerate(cases)}
        items.sort(key=lambda item: place[item.case.key])
        found = Evidence(ended=[f"{url}: {why}" for url, why in self.asking.gone.items()])
        for item in items:
            await self._score(item, found)
        try:
            found.texts = await self._texts(items)
        except ServerError as error:
            found.unread = str(error)
        return found

    def twice(self, case: Case) -> bool:
        """By its hash: the same ones when the gate goes on."""
        return int(case.key[:8], 16) < self.repeat * 2**32

    async def _item(self, case: Case) -> Item:
        roles = [role for role in Role if role is not Role.AGAIN or self.twice(case)]
        answers = await asyncio.gather(*(self.asking.ask(role, case) for role in roles))
        return Item(case, {role: one for role, one in zip(roles, answers, strict=True) if one is not None})

    async def _score(self, item: Item, found: Evidence) -> None:
        name, answers = item.case.key[:12], item.answers
        if Role.BASELINE not in answers or Role.CANDIDATE not in answers:
            found.unanswered.append(name)
            return
        counts = {answers[role].tokens for role in (Role.BASELINE, Role.CANDIDATE)} - {0}
        if len(counts) > 1:
            found.counted.append(name)
        graded = await self.checks.grade(item.case, {role: one.output for role, one in answers.items() if not one.why})
        right = dict(graded) | {role: False for role, one in answers.items() if one.why}
        if right[Role.BASELINE] is None and right[Role.CANDIDATE] is None:
            found.unlabelled.append(name)
            return
        again = bool(right[Role.AGAIN]) if Role.AGAIN in right else None
        both = bool(right[Role.BASELINE]), bool(right[Role.CANDIDATE])
        found.scored.append(Scored(name, item.case.route, *both, again))

    async def _texts(self, items: Sequence[Item]) -> list[Drift]:
        """Of the first that qualify; none where the servers do not tell. Raises ServerError."""
        able = [item for item in items if item.case.api is Api.CHAT and _said(item)][: self.read]
        tokens = [one for item in able if (one := await self._tokens(item))]
        if not tokens:
            return []
        after = shared(tokens)
        found = [await self._drift(one, after) for one in tokens]
        return [one for one in found if one is not None]

    async def _tokens(self, item: Item) -> tuple[int, ...] | None:
        said = item.answers[Role.BASELINE].output.text
        server, model = self.asking.servers[Role.BASELINE], self.asking.models[Role.BASELINE]
        return await tokens_of(server, model, item.case.body["messages"], said)

    async def _drift(self, tokens: Sequence[int], after: int) -> Drift | None:
        asking, roles = self.asking, (Role.BASELINE, Role.CANDIDATE)
        spoken = await asyncio.gather(*(read(asking.servers[one], asking.models[one], tokens) for one in roles))
        if spoken[0] is None or spoken[1] is None:
            return None
        return drift(tokens, spoken[0], spoken[1], after=after)


def _said(item: Item) -> bool:
    answer = item.answers.get(Role.BASELINE)
    return answer is not None and bool(answer.output.text) and Role.CANDIDATE in item.answers
