"""One run of `fivelevers fp8 gate`: the servers, the items, both verdicts, the file."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from fivelevers.cli.benchmark_grading import Grading, check_lines
from fivelevers.cli.benchmark_prompts import drawn, of_file, of_ledger, of_records
from fivelevers.cli.fp8_samples import scored_of
from fivelevers.cli.fp8_told import config_of
from fivelevers.cli.logs import progress
from fivelevers.errors import QuantizationError, ServerError
from fivelevers.fp8_gate import hardware_report
from fivelevers.fp8_gate.asking import WAITS_S, Asking, Role
from fivelevers.fp8_gate.hardware_report import Measured
from fivelevers.fp8_gate.run import Evidence, Gate
from fivelevers.levers.quantization.checkpoint import BF16, scheme_of
from fivelevers.levers.quantization.economics import Economics, economics
from fivelevers.levers.quantization.gate import Limits, Quality, Scored, quality
from fivelevers.levers.quantization.gated import Gated, Served
from fivelevers.levers.quantization.measurement import Measurement, runs, same_version, throughput
from fivelevers.levers.quantization.pricing import Rates, rates
from fivelevers.levers.quantization.servers import Identity, clash
from fivelevers.levers.quantization.serving import runs_as
from fivelevers.levers.quantization.verdict import Finding, Verdict
from fivelevers.providers.model_servers import ModelServer
from fivelevers.stores import checkpoint as checkpoints
from fivelevers.stores import gated
from fivelevers.stores.benchmark_journal import Journal
from fivelevers.stores.checkpoint import Manifest

if TYPE_CHECKING:
    from fivelevers.policy import Route
    from fivelevers.route_benchmark.cases import Case

_WITHOUT = Finding("cost per successful output", Verdict.INCONCLUSIVE, "not measured; write --hardware-report")


@dataclass(frozen=True, slots=True)
class Source:
    """Items from a file, from the ledger, or neither where samples alone are judged."""

    route: str
    items: Path | None
    policy: str
    ledger: str
    at_most: int
    days: float
    from_ledger: bool

    def known_route(self) -> Route | None:
        """Raises QuantizationError, PolicyError."""
        from fivelevers.policy import load

        if not self.policy:
            if self.from_ledger:
                raise QuantizationError("--policy: is missing; name the policy file, or set FIVELEVERS_POLICY")
            return None
        routes = {route.name: route for route in load(Path(self.policy)).routes}
        if self.route not in routes:
            raise QuantizationError(f"--route: {self.route!r} is no route of the policy; it has {', '.join(routes)}")
        return routes[self.route]

    def cases(self, route: Route | None, journal: Journal) -> list[Case]:
        """Raises CalibrationError, ContentError, LedgerError, OSError."""
        if self.items is not None:
            found, left = of_file(self.items, self.route)
        elif self.from_ledger and route is not None:
            asked, left = {"route": self.route, "limit": self.at_most, "days": self.days}, 0
            found = of_records(journal.found, asked)
            if not found:
                found, left = of_ledger(self.ledger, route, at_most=self.at_most, days=self.days)
                journal.add(drawn(asked, found))
        else:
            return []
        if left:
            _say(f"{left:,} items can not be asked again by their text (images, files, ...): left out.")
        if not found:
            raise QuantizationError(f"{self.items or self.ledger}: has no item")
        return found


@dataclass(frozen=True, slots=True)
class Servers:
    baseline: str
    candidate: str
    model: str
    candidate_model: str
    key: str
    timeout_s: float
    concurrency: int

    def made(self) -> dict[Role, ModelServer]:
        """Raises ServerError."""
        original = ModelServer(self.baseline, self.key, limit_s=self.timeout_s)
        other = ModelServer(self.candidate, self.key, limit_s=self.timeout_s)
        return {Role.BASELINE: original, Role.CANDIDATE: other, Role.AGAIN: original}


@dataclass(frozen=True, slots=True)
class Hardware:
    report: Path | None
    gpu_hour_usd: float
    utilisation: float

    def measured(self) -> Measured | None:
        """Raises QuantizationError, OSError."""
        if self.report is None:
            return None
        if not self.gpu_hour_usd:
            raise QuantizationError("--gpu-hour-usd: is missing; what an hour of one GPU costs prices the report")
        return hardware_report.read(self.report)

    def rates(self, made: Measurement, *, candidate: bool) -> Rates | None:
        """None where the loads do not tell the kinds of token apart: quality and cost may be known all the same."""
        loads = made.candidate if candidate else made.baseline
        try:
            return rates(runs(loads), gpu_hour_usd=self.gpu_hour_usd, gpus=made.gpus, utilisation=self.utilisation)
        except ValueError as error:
            _say(f"No prices of the {'candidate' if candidate else 'original'}'s tokens: {error}")
            return None

    def verdict(self, found: Quality, measured: Measured | None, version: str | None) -> Economics | None:
        """By the first load of each: the route's own. ``version``: of the candidate's server."""
        if measured is None:
            return None
        made, beside = measured.made, (same_version(measured.made, version), *measured.findings)
        return economics(
            found,
            throughput(made, made.baseline[0]),
            throughput(made, made.candidate[0]),
            gpu_hour_usd=self.gpu_hour_usd,
            utilisation=self.utilisation,
            beside=beside,
        )


@dataclass(frozen=True, slots=True)
class Run:
    """``limits``: margin and error."""

    source: Source
    servers: Servers
    grading: Grading
    hardware: Hardware
    samples: tuple[Path, Path, Path | None] | None
    checkpoint: Path | None
    out: Path
    limits: tuple[float, float]
    repeat: float
    texts: int
    max_tokens: int

    async def go(self) -> Gated:
        """Both verdicts, written to the file. Raises FiveLeversError, OSError."""
        measured, manifest = self.hardware.measured(), self._manifest()
        route, servers = self.source.known_route(), self.servers.made()
        journal = Journal(self.out.with_name(f"{self.out.name}.journal"))
        try:
            known = await self._known(servers)
            self._apart(known)
            cases = self.source.cases(route, journal)
            check_lines(self.grading, cases)
            samples = [] if self.samples is None else scored_of(*self.samples)
            items = self._items(cases, samples, known, manifest, journal)
            found = await self._asked(route, servers, known, cases, journal)
            found.scored += samples
            try:
                _unchanged(known, await self._known(servers))
            except ServerError as error:
                found.ended.append(str(error))
        finally:
            for server in {id(one): one for one in servers.values()}.values():
                await server.close()
            journal.close()
        return self._judged(found, known, measured, manifest, items)

    def tell(self, found: Gated, picture: Path | None, *, as_json: bool) -> None:
        from fivelevers.cli.fp8_gate_tables import picture_svg, shown

        if picture is not None:
            picture.write_text(picture_svg(found), encoding="utf-8")
        if as_json:
            print(json.dumps(gated.record(found), indent=1))  # noqa: T201
        else:
            Console(highlight=False).print(shown(found))
            _out(f"Written: {self.out}.")

    def _manifest(self) -> Manifest | None:
        """Of the checkpoint that is gated, whose files are as they were. Raises QuantizationError, OSError."""
        if self.checkpoint is None:
            return None
        made = checkpoints.read(self.checkpoint)
        if scheme_of(config_of(self.checkpoint)) == BF16:
            raise QuantizationError(f"--checkpoint: {self.checkpoint}: is not quantised; name the one that is")
        with progress(f"reading {self.checkpoint.name}", checkpoints.size_of(self.checkpoint)) as read:
            why = checkpoints.problem(made, checkpoints.hashes(self.checkpoint, read))
        if why is not None:
            raise QuantizationError(f"--checkpoint: {self.checkpoint}: {why}")
        return made

    async def _known(self, servers: dict[Role, ModelServer]) -> dict[Role, Identity]:
        """Both servers, by their own word. Raises ServerError."""
        names = {Role.BASELINE: self.servers.model, Role.CANDIDATE: self.servers.candidate_model}
        found = await asyncio.gather(*(servers[role].identity(name) for role, name in names.items()))
        return dict(zip(names, found, strict=True))

    def _apart(self, known: dict[Role, Identity]) -> None:
        """Raises QuantizationError where these two can not be held against each other."""
        why = clash(known[Role.BASELINE], known[Role.CANDIDATE])
        if why is None and self.checkpoint is not None:
            server, root = known[Role.CANDIDATE], known[Role.CANDIDATE].root
            if root is not None and Path(root).name != self.checkpoint.resolve().name:
                why = f"{server.url} serves {root}, not {self.checkpoint}"
            elif server.tells:
                why = runs_as(scheme_of(config_of(self.checkpoint)), server.quantization)
        if why is not None:
            raise QuantizationError(f"--baseline, --candidate: {why}")

    def _items(
        self,
        cases: Sequence[Case],
        samples: Sequence[Scored],
        known: dict[Role, Identity],
        manifest: Manifest | None,
        journal: Journal,
    ) -> str:
        """The hash of what is asked. Raises QuantizationError where the journal is of another gate."""
        names = sorted([*(case.key for case in cases), *(one.item for one in samples)])
        item_hash = sha256("".join(names).encode()).hexdigest()
        about = {
            "route": self.source.route,
            "baseline": [known[Role.BASELINE].root, known[Role.BASELINE].version],
            "candidate": [known[Role.CANDIDATE].root, known[Role.CANDIDATE].version],
            "checkpoint": manifest.sha256 if manifest else "",
            "max_tokens": self.max_tokens,
        }
        before = next((record["gate"] for record in journal.found if "gate" in record), None)
        if before is None:
            journal.add({"gate": about})
        elif before != about:
            other = ", ".join(name for name in about if before.get(name) != about[name])
            raise QuantizationError(f"--out: {journal.path} is of another gate ({other} differ); name another --out")
        return item_hash

    async def _asked(
        self,
        route: Route | None,
        servers: dict[Role, ModelServer],
        known: dict[Role, Identity],
        cases: Sequence[Case],
        journal: Journal,
    ) -> Evidence:
        models = {role: known[Role.CANDIDATE if role is Role.CANDIDATE else Role.BASELINE].model for role in Role}
        slots = {role: asyncio.Semaphore(self.servers.concurrency) for role in (Role.BASELINE, Role.CANDIDATE)}
        slots[Role.AGAIN] = slots[Role.BASELINE]
        found = Evidence()
        if cases:
            asking = Asking(servers, models, journal.add, self.max_tokens, slots, WAITS_S)
            asking.replay(journal.found)
            made = Gate(asking, self.grading.checks(route), self.repeat, self.texts, 2 * self.servers.concurrency)
            with progress("asking", len(cases)) as told:
                found = await made.run(cases, lambda: told(1))
        if found.unlabelled:
            _say(f"{len(found.unlabelled):,} items are left out: no check has anything to say of their answers.")
        return found

    def _judged(
        self,
        found: Evidence,
        known: dict[Role, Identity],
        measured: Measured | None,
        manifest: Manifest | None,
        items: str,
    ) -> Gated:
        margin, error = self.limits
        made = quality(found.scored, Limits(margin, error), unanswered=found.unanswered, texts=found.texts)
        pays = self.hardware.verdict(made, measured, known[Role.CANDIDATE].version)
        beside = [*_beside(found)]
        verdict = made.verdict if not beside or made.verdict is Verdict.FAIL else Verdict.INCONCLUSIVE
        findings = (*made.findings, *beside, *(pays.findings if pays is not None else (_WITHOUT,)))
        result = Gated(
            made_at=time.time(),
            route=self.source.route,
            quality=verdict,
            economics=pays.verdict if pays is not None else Verdict.INCONCLUSIVE,
            findings=tuple((one.rule, one.verdict, one.why) for one in findings),
            baseline=_served(known[Role.BASELINE]),
            candidate=_served(known[Role.CANDIDATE]),
            checkpoint=manifest.sha256 if manifest else "",
            scheme=manifest.scheme if manifest else "",
            gpu=f"{measured.made.gpus} x {measured.made.gpu}" if measured else "",
            items=made.pairs.tested,
            item_hash=items,
            difference=made.difference,
            low=made.low,
            margin=margin,
            lost=made.lost,
            won=made.won,
            needed=made.needed,
            saving=pays.saving if pays is not None else None,
            rates=self.hardware.rates(measured.made, candidate=True) if measured else None,
            baseline_rates=self.hardware.rates(measured.made, candidate=False) if measured else None,
        )
        gated.write(self.out, result)
        return result


def _beside(found: Evidence) -> list[Finding]:
    """What keeps evidence from being whole."""
    made = []
    if found.ended:
        made.append(Finding("servers", Verdict.INCONCLUSIVE, f"asked no more: {'; '.join(found.ended)}"))
    if found.unread:
        why = f"the texts were not read: {found.unread}; run the gate again, or leave them out with --texts 0"
        made.append(Finding("perplexity", Verdict.INCONCLUSIVE, why))
    if found.counted:
        why = f"{len(found.counted)} prompts have other token counts on the two: not the same template or tokenizer"
        made.append(Finding("prompts", Verdict.INCONCLUSIVE, why))
    return made


def _unchanged(before: dict[Role, Identity], after: dict[Role, Identity]) -> None:
    """Raises QuantizationError where another model stood behind a URL meanwhile."""
    for role, one in before.items():
        other = after[role]
        if (one.root, one.version, one.quantization) != (other.root, other.version, other.quantization):
            raise QuantizationError(f"{one.url}: served {one.root} before and {other.root} after; gate it again")


def _served(one: Identity) -> Served:
    return Served(one.url, one.model, one.root, one.version)


def _say(line: str) -> None:
    Console(stderr=True, highlight=False).print(line, markup=False, soft_wrap=True)


def _out(line: str) -> None:
    Console(highlight=False).print(line, markup=False, soft_wrap=True)
