"""One run of `fivelevers route benchmark`: what it will cost, the calls, the labelled file."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import typer
from rich.console import Console

from fivelevers.cli.benchmark_grading import Grading, check_lines
from fivelevers.cli.benchmark_prompts import of_file, of_ledger, of_records, record
from fivelevers.cli.benchmark_tables import Result, forecast, tables
from fivelevers.cli.benchmark_tables import record as result_record
from fivelevers.cli.tables import money
from fivelevers.errors import CalibrationError
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
            found = of_file(self.prompts, self.route)
        else:
            found = of_records(journal.found) or ([] if route is None else self._drawn(route, journal))
        if not found:
            raise CalibrationError(f"{self.prompts or self.ledger}: has no prompt")
        return found

    def _drawn(self, route: Route, journal: Journal) -> list[Case]:
        """Once: what is drawn stands in the journal, whatever the route is asked meanwhile."""
        cases, left = of_ledger(self.ledger, route, at_most=self.at_most, days=self.days)
        if left:
            _say(f"{left:,} kept requests hold no prompt that can be asked again: left out.")
        for case in cases:
            journal.add(record(case))
        return cases


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
        route, proxy = self.source.known_route(), ProxyCalls(self.way.proxy)
        journal = Journal(self.out.with_name(f"{self.out.name}.journal"))
        try:
            cases = self.source.cases(route, journal)
            check_lines(self.grading, cases)
            made, judge = await self._made(route, proxy, journal)
            self._agree(made, cases, judge)
            said = await self._beside_people(made)
            done = [] if made.spent else await self._asked(made, cases)
        finally:
            await proxy.close()
            journal.close()
        self._tell(Result(made, done, len(cases), said))
        return not made.spent

    async def _made(
        self, route: Route | None, proxy: ProxyCalls, journal: Journal
    ) -> tuple[Benchmark, Candidate | None]:
        way, judging = self.way, (self.grading.judge,) if self.grading.judge else ()
        found = await candidates_of((*way.models, *judging), proxy, way.key, self.book)
        judge = found[-1] if judging else None
        check_apart(found[: len(way.models)])
        budget = Budget(way.budget_usd, journal.add)
        slots = asyncio.Semaphore(way.concurrency)
        calls = Calls(proxy, way.key, budget, slots, timeout_s=way.timeout_s, poll_s=way.poll_s)
        calls.replay(journal.found)
        grader = self.grading.grader(route, calls, judge)
        return Benchmark(calls, found[: len(way.models)], grader, way.max_tokens, batch=way.batch), judge

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
        with _bar(len(cases), made) as told:
            done = await made.run(cases, workers, told)
        fresh = self.out.with_name(f"{self.out.name}.new")
        lines = (json.dumps(one.line(), ensure_ascii=False) for one in done if one.whole)
        fresh.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        os.replace(fresh, self.out)
        return done

    def _tell(self, result: Result) -> None:
        if self.as_json:
            print(json.dumps(result_record(result, str(self.out)), indent=1))  # noqa: T201
        else:
            Console(highlight=False).print(tables(result, str(self.out)))


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


@contextmanager
def _bar(total: int, made: Benchmark) -> Iterator[Callable[[], None]]:
    """Prompts done, and money spent; on a terminal alone."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console, budget = Console(stderr=True), made.calls.budget
    columns = (TextColumn("asking"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[spent]}"))
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("asking", total=total, spent="")
        yield lambda: bar.update(task, advance=1, spent=f"{money(budget.spent_usd)} of {money(budget.limit_usd)}")


def _say(line: str) -> None:
    Console(stderr=True, highlight=False).print(line, markup=False, soft_wrap=True)
