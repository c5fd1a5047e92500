"""What each lever would save on a line of an audit, on what the levers before it left."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from fivelevers.audit.answer_lines import AUDITED, ZERO, AnswerLine
from fivelevers.audit.batch_lines import BatchLine, BatchLines
from fivelevers.audit.lines import OWN_SERVERS, Ends, Line
from fivelevers.audit.routing import RoutingAudit, RoutingLine, Shown, Unknown
from fivelevers.audit.semantic_cache import SemanticCacheAudit
from fivelevers.order import LEVERS

_MANAGED, _OWN = "providers' models", "gate: fivelevers fp8"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one lever takes off a line on its turn, where every lever saves the least, and where every one saves the
    most; ``left`` after that, the low end where all saved most."""

    saving: Ends
    left: Ends


@dataclass(frozen=True, slots=True)
class Projections:
    """Money is USD over the log, (low, high).

    ``of`` and what is below it tell of one lever by itself: its high end is where those before it save the least.
    ``turns`` tells of all together: its two ends are two stories, so that no dollar is saved twice in either.
    """

    answers: SemanticCacheAudit
    batch: BatchLines
    routing: RoutingAudit

    def of(self, line: Line, lever: str) -> Ends | str:
        """By the lever's name; else why that is not known, in a few words."""
        if lever == "prompt_cache":
            return line.saving or line.why_not
        if lever == "semantic_cache":
            return self.by_answers(line) or self.why_no_answers(line)
        if lever == "batch":
            return self.by_batches(line) or self.batched(line).why_not
        if lever == "routing":
            found = self.by_routing(line)
            return found.value if isinstance(found, Unknown) else found
        return _OWN if line.provider in OWN_SERVERS else _MANAGED

    def turns(self, line: Line) -> dict[str, Turn | str]:
        """By lever, in their order; else why it is not known, in a few words."""
        found: dict[str, Turn | str] = {}
        left = (line.cost_usd, line.cost_usd)
        for lever in LEVERS:
            ends = self.of(line, lever.name)
            if isinstance(ends, str):
                found[lever.name] = ends
                continue
            most = min(max(self._most(line, lever.name, ends, left[0]), ZERO), left[0])
            least = min(max(ends[0], ZERO), left[1], most)
            left = left[0] - most, left[1] - least
            found[lever.name] = Turn((least, most), left)
        return found

    def _most(self, line: Line, lever: str, ends: Ends, left: Decimal) -> Decimal:
        """USD that a lever saves where those before it, which save the most, have ``left`` so much."""
        if lever == "batch":
            return self.batched(line).most(after_lever_1=line.marked_pays, similar=self._similar(line) * (1 - AUDITED))
        shown = self.routing.shown(self.routed(line)) if lever == "routing" else None
        return left * (1 - shown.share) if isinstance(shown, Shown) else ends[1]

    def answered(self, line: Line) -> AnswerLine:
        return self.answers.lines()[line.route, line.model]

    def batched(self, line: Line) -> BatchLine:
        return self.batch[line.route, line.model]

    def routed(self, line: Line) -> RoutingLine:
        return self.routing.line(line.route, line.model)

    def by_answers(self, line: Line) -> Ends | None:
        """Lever 2; None where the log does not tell, or no price is known."""
        if not line.priced:
            return None
        return self.answered(line).saving(after_lever_1=line.marked_pays, missed=line.missed)

    def why_no_answers(self, line: Line) -> str:
        found = self.answered(line)
        if found.may_be:
            return "price not known"
        return "prompts not in the log" if found.unknown else "may answer none"

    def by_batches(self, line: Line) -> Ends | None:
        """Lever 3; None where no call may go."""
        return self.batched(line).saving(after_lever_1=line.marked_pays, similar=self._similar(line))

    def _similar(self, line: Line) -> Decimal:
        """The share of all calls that lever 2 may answer as similar to others."""
        answered = self.answered(line)
        return ZERO if answered.rate is None else Decimal(answered.rate[0]) * answered.asked / answered.calls

    def left(self, line: Line) -> Ends | None:
        """USD that levers 1 to 3 leave; None where no price is known."""
        if not line.priced:
            return None
        earlier = (line.saving, self.by_answers(line), self.by_batches(line))
        least, most = (sum((max(ends[at], ZERO) for ends in earlier if ends), ZERO) for at in (0, 1))
        return max(line.cost_usd - most, ZERO), max(line.cost_usd - least, ZERO)

    def by_routing(self, line: Line) -> Ends | Unknown:
        """Lever 4; else why that is not known."""
        found, left = self.routing.shown(self.routed(line)), self.left(line)
        if isinstance(found, Unknown):
            return found
        return Unknown.NO_PRICE if left is None else (ZERO, left[1] * (1 - found.share))
