"""One run of `fivelevers route benchmark`: what it will cost, the calls, the labelled file."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from fivelevers.charge import header_of
from fivelevers.cli.benchmark_grading import Grading, check_lines
from fivelevers.cli.benchmark_prompts import drawn, of_file, of_ledger, of_records
from fivelevers.cli.benchmark_tables import Result, forecast, record, tables
from fivelevers.cli.logs import progress
from fivelevers.cli.tables import money
from fivelevers.errors import CalibrationError, ProxyError
from fivelevers.policy import Route
from fivelevers.prices import PriceBook, Usage
from fivelevers.providers.proxy_calls import ProxyCalls
from fivelevers.route_benchmark.agreement import Agreement, agreement
from fivelevers.route_benchmark.budget import Budget, BudgetSpentError
from fivelevers.route_benchmark.calls import Calls
from fivelevers.route_benchmark.candidates import candidates_of, check_apart
from fivelevers.route_benchmark.cases import Candidate, Case, answer_tokens, range_usd
from fivelevers.route_benchmark.labels import Judge
from fivelevers.route_benchmark.run import Benchmark, Labelled
from fivelevers.stores.benchmark_journal import Journal

_JUDGE_SAYS = (2, 50)  # tokens of a verdict: a number, or some thought before it
_UNCHARGED = "--key is no admin's (the master key, or one with the role proxy_admin)"
_JUDGE_FRAME_BYTES = 700  # what it is told beside


@dataclass(frozen=True, slots=True)
class Source:
    """Prompts from a file, or None: from the ledger, ``at_most`` so many of the last ``days``."""

    route: str
    prompts: Path | None
    policy: str
    ledger: str
    at_most: int
    days: float

    def known_route(self) -> Route | None:
        """None where no policy was named, which a file does not need. Raises CalibrationError, PolicyError."""
        from fivelevers.policy import load

        if not self.policy:
            if self.prompts is None:
                raise CalibrationError("--policy: is missing; name the policy file, or set FIVELEVERS_POLICY")
            return None
        routes = {route.name: route for route in load(Path(self.policy)).routes}
        if self.route not in routes:
            raise CalibrationError(f"--route: {self.route!r} is no route of the policy; it has {', '.join(routes)}")
        return routes[self.route]

    def cases(self, route: Route | None, journal: Journal) -> list[Case]:
        """Raises CalibrationError, ContentError, LedgerError, OSError."""
        if self.prompts is not None:
            found, left = of_file(self.prompts, self.route)
            _tell_left(left, "prompts")
        else:
            found = of_records(journal.found, self._asked)
            found = found or ([] if route is None else self._drawn(route, journal))
        if not found:
            raise CalibrationError(f"{self.prompts or self.ledger}: has no prompt")
        return found

    def _drawn(self, route: Route, journal: Journal) -> list[Case]:
        """Once: what is drawn stands in the journal, whatever the route is asked meanwhile."""
        cases, left = of_ledger(self.ledger, route, at_most=self.at_most, days=self.days)
        _tell_left(left, "kept requests")
        journal.add(drawn(self._asked, cases))
        return cases

    @property
    def _asked(self) -> dict[str, Any]:
        return {"route": self.route, "limit": self.at_most, "days": self.days}


@dataclass(frozen=True, slots=True)
class Way:
    """How the candidates are asked."""

    proxy: str
    key: str
    models: tuple[str, ...]
    budget_usd: Decimal
    concurrency: int
    max_tokens: int
    timeout_s: float
    batch: bool
    poll_s: float
    logprobs: bool = False

    def calls(self) -> ProxyCalls:
        """Raises CalibrationError where the URL or the key can be none."""
        if not self.key:
            fix = "name a key of the proxy, or set FIVELEVERS_API_KEY; any word where the proxy asks for none"
            raise CalibrationError(f"--key: is missing; {fix}")
        if not (self.key.isascii() and self.key.isprintable()) or " " in self.key:
            raise CalibrationError("--key: holds a space, a line break or a letter beyond ASCII; copy it again")
        try:
            return ProxyCalls(self.proxy)
        except ProxyError as error:
            raise CalibrationError(f"--proxy: {error}") from error


@dataclass(frozen=True, slots=True)
class Run:
    source: Source
    way: Way
    grading: Grading
    out: Path
    book: PriceBook
    yes: bool
    as_json: bool

    async def go(self) -> bool:
        """Whether it was done; else the budget ended it. Raises FiveLeversError, OSError."""
        route, proxy = self.source.known_route(), self.way.calls()
        journal = Journal(self.out.with_name(f"{self.out.name}.journal"))
        try:
            cases = self.source.cases(route, journal)
            check_lines(self.grading, cases)
            made, judge = await self._made(route, proxy, journal)
            self._agree(made, cases, judge)
            said = await self._beside_people(made)
            begun = not made.spent
            done = await self._asked(made, cases) if begun else []
        finally:
            await proxy.close()
            journal.close()
        self._tell(Result(made, done, len(cases), said, out=str(self.out) if begun else None))
        return not made.spent

    async def _made(
        self, route: Route | None, proxy: ProxyCalls, journal: Journal
    ) -> tuple[Benchmark, Candidate | None]:
        way, judging = self.way, (self.grading.judge,) if self.grading.judge else ()
        found = await candidates_of((*way.models, *judging), proxy, way.key, self.book, timeout_s=way.timeout_s)
        judge = found[-1] if judging else None
        check_apart(found[: len(way.models)])
        budget = Budget(way.budget_usd, journal.add)
        slots = asyncio.Semaphore(way.concurrency)
        charge = header_of("routing", self.source.route)
        calls = Calls(proxy, way.key, budget, slots, timeout_s=way.timeout_s, poll_s=way.poll_s, charge=charge)
        calls.replay(journal.found)
        grader = self.grading.grader(route, calls, judge)
        return Benchmark(
            calls, found[: len(way.models)], grader, way.max_tokens, batch=way.batch, logprobs=way.logprobs
        ), judge

    def _agree(self, made: Benchmark, cases: Sequence[Case], judge: Candidate | None) -> None:
        """Says what it costs, and asks. Raises CalibrationError where there is nobody to ask."""
        new = [
            (case, one) for case in cases for one in made.candidates if made.calls.known(made.call(case, one)) is None
        ]
        low = high = Decimal(0)
        for one in made.candidates:
            ends = range_usd([case for case, its in new if its is one], [one], made.max_tokens, batch=made.batch)
            low, high = low + ends[0], high + ends[1]
        if judge is not None:
            few, many = _judging_usd(judge, cases, made)
            low, high = low + few, high + many
        all_calls = len(cases) * len(made.candidates)
        for line in forecast(made, all_calls, all_calls - len(new), (low, high), judge.alias if judge else ""):
            _say(line)
        if self.yes or not (new or judge):
            return
        if not sys.stdin.isatty():
            raise CalibrationError("--yes: is missing; nobody is here to be asked whether that may be spent")
        typer.confirm("Go on?", abort=True, err=True)

    async def _beside_people(self, made: Benchmark) -> Agreement | None:
        """Before the rest is paid for: a judge that nobody agrees with need not go on."""
        sample = self.grading.sample()
        try:
            return await agreement(made.grader, sample) if sample else None
        except BudgetSpentError:
            made.spent = True
            return None

    async def _asked(self, made: Benchmark, cases: Sequence[Case]) -> list[Labelled]:
        workers = len(cases) if made.batch else self.way.concurrency
        with progress("asking", len(cases), partial(_spent, made.calls.budget)) as told:
            done = await made.run(cases, workers, lambda: told(1))
        fresh = self.out.with_name(f"{self.out.name}.new")
        lines = (json.dumps(one.line(), ensure_ascii=False) for one in done if one.whole)
        fresh.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        os.replace(fresh, self.out)
        return done

    def _tell(self, result: Result) -> None:
        uncharged = result.made.calls.uncharged
        if uncharged:
            _say(f"{uncharged:,} answers stand in the ledger as traffic, not as a cost of lever 4's: {_UNCHARGED}")
        if self.as_json:
            print(json.dumps(record(result), indent=1))  # noqa: T201
        else:
            Console(highlight=False).print(tables(result))


def _judging_usd(judge: Candidate, cases: Sequence[Case], made: Benchmark) -> tuple[Decimal, Decimal]:
    """Once where all answer the same, twice where they differ; with short answers, with long ones."""
    rubric = made.grader.rubric if isinstance(made.grader, Judge) else ""
    low = high = Decimal(0)
    for case in cases:
        shown = case.bytes + len(rubric.encode()) + _JUDGE_FRAME_BYTES
        least, most = answer_tokens(case, case.limit or made.max_tokens)
        few, many = shown // 5 + least, shown // 3 + len(made.candidates) * most
        low += judge.usd(Usage(input=few, output=_JUDGE_SAYS[0]))
        high += 2 * judge.usd(Usage(input=many, output=_JUDGE_SAYS[1]))
    return low, high


def _spent(budget: Budget) -> str:
    return f"{money(budget.spent_usd)} of {money(budget.limit_usd)}"


def _tell_left(left: int, what: str) -> None:
    if left:
        _say(f"{left:,} {what} can not be asked again, or not priced by their text (images, files, ...): left out.")


def _say(line: str) -> None:
    Console(stderr=True, highlight=False).print(line, markup=False, soft_wrap=True)
