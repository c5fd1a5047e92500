"""What an audit says of one route and model: what the log tells, and what lever 1 had made of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from fivelevers.levers.prompt_cache.terms import Style
from fivelevers.prices import Usage

ZERO = Decimal(0)
NO_USAGE = Usage()
MISSED = Decimal("0.01")
"""Share of a line's cost by which a replay of lever 1 may miss the bill: benchmarks.audit_truth found 0.1 to 0.8 %."""

ACTS_ON = (Style.MARKS, Style.BREAKPOINTS)
OWN_SERVERS = frozenset({"hosted_vllm", "vllm", "ollama", "ollama_chat", "openai_like", "lm_studio"})
"""LiteLLM's providers that are somebody's own: lever 5 quantises there alone."""

Ends = tuple[Decimal, Decimal]
"""(low, high), in USD."""


@dataclass(slots=True)
class Projected:
    """The calls whose prompts are in the log: USD of their input as paid, and by the replay as they were and marked.

    ``reusable``: of their ``prompt`` tokens those at the start of a prompt of the two hours before, whatever its cache.
    """

    calls: int = 0
    paid: Decimal = ZERO
    as_it_was: Decimal = ZERO
    marked: Decimal = ZERO
    marks: int = 0
    prompt: int = 0
    reusable: int = 0


@dataclass(slots=True)
class Line:
    """One route and model. Money is USD, of the ``priced`` calls alone: ``cost_usd`` of all tokens, the rest of input.

    ``logged_usd``: what the log itself says that these calls cost; None where it does not say so of each.
    ``never_read``: tokens of cache writes that surely nobody read, a lower bound; in USD what they cost beyond plain
    input.
    ``at_most_usd``: what the lever could save if every prompt token were read from the cache, which none can.
    """

    route: str
    model: str
    style: Style
    provider: str = ""
    calls: int = 0
    priced: int = 0
    unpriced_tokens: int = 0
    no_text: int = 0
    below_minimum: int = 0
    usage: Usage = NO_USAGE
    cost_usd: Decimal = ZERO
    input_usd: Decimal = ZERO
    logged_usd: Decimal | None = ZERO
    never_read: int = 0
    never_read_usd: Decimal = ZERO
    at_most_usd: Decimal = ZERO
    projected: Projected = field(default_factory=Projected)

    @property
    def missed(self) -> Decimal:
        """USD by which the replay may miss what the calls cost after lever 1."""
        return MISSED * (self.cost_usd - self.projected.paid + self.projected.marked)

    @property
    def marked_pays(self) -> bool:
        """Whether lever 1 makes the line cheaper: what comes after it saves what then is paid."""
        return self.projected.marked < self.projected.paid

    @property
    def why_not(self) -> str:
        """Why there is no saving, in a few words."""
        if not self.priced:
            return "price not known"
        if self.style is Style.AUTOMATIC:
            return "cached by itself"
        return "no rules known" if self.style not in ACTS_ON else "prompts not in the log"

    @property
    def saving(self) -> Ends | None:
        """(low, high) over the log; None where the log does not tell.

        One end starts from what was paid, the other from what the replay says that the calls had cost as they were;
        where the lever marks anything, each is ``MISSED`` further out.
        Calls without a prompt save nothing at the low end, and at the high end as much as those with one.
        """
        told = self.projected
        if self.style not in ACTS_ON or not told.calls:
            return None
        missed = MISSED * told.paid if told.marks else ZERO
        low, high = sorted((told.paid - told.marked, told.as_it_was - told.marked))
        low, high = low - missed, high + missed
        share = Decimal(self.priced) / told.calls
        return min(low, low * share), max(high, high * share)
