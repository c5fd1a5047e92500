"""What each lever would save on a line of an audit, on what the levers before it left."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from fivelevers.audit.answer_lines import ZERO, AnswerLine
from fivelevers.audit.batch_lines import BatchLine, BatchLines
from fivelevers.audit.lines import OWN_SERVERS, Ends, Line
from fivelevers.audit.routing import RoutingAudit, RoutingLine, Unknown
from fivelevers.audit.semantic_cache import SemanticCacheAudit

_MANAGED, _OWN = "providers' models", "gate: fivelevers fp8"


@dataclass(frozen=True, slots=True)
class Projections:
    """Money is USD over the log, (low, high)."""

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
        answered = self.answered(line)
        share = ZERO if answered.rate is None else Decimal(answered.rate[0]) * answered.asked / answered.calls
        return self.batched(line).saving(after_lever_1=line.marked_pays, similar=share)

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
