"""The levers of one route, as the policy sets them. Field descriptions are what `fivelevers schema` tells editors."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictBool, StrictFloat, StrictInt, model_validator

from fivelevers.order import Mode
from fivelevers.policy.strict import Strict, unquoted, wrong

Affinity = Literal["off", "on"]
Tier = Literal["exact", "semantic"]
Answers = Literal["deterministic", "any"]
GuardName = Literal["numbers", "dates", "negation", "entities"]
Inspect = Literal["headers", "body"]
OptIn = Literal["caller", "route"]
Fsync = Literal["everysec", "always"]
Look = Literal["schema", "validators", "agreement", "scorer"]


class LeverSwitch(Strict):
    """One lever on one route."""

    mode: Annotated[Mode, BeforeValidator(unquoted)] = Mode.OFF
    """off; shadow: decide and record, change nothing; on; does-not-pay, not-applicable: settled here, does nothing."""
    percent: StrictFloat = Field(default=100.0, ge=0, le=100)
    """Share of the sessions outside the holdout that are treated when the mode is `on`, in percent."""


class PromptCacheSwitch(LeverSwitch):
    """Lever 1 on one route."""

    affinity: Annotated[Affinity, BeforeValidator(unquoted)] = "off"
    """on: of several deployments, a request goes to the one that holds its prefix, while it holds it."""


class Embedder(Strict):
    """What turns a question into a vector."""

    model: str = "minilm"
    """minilm: in the proxy's own process; another name: a model alias of this proxy, or with `url` of that endpoint."""
    url: str | None = Field(default=None, pattern=r"^https?://\S+$")
    """An OpenAI-compatible endpoint, up to and with its /v1."""
    api_key_env: str | None = None
    """The environment variable that holds the endpoint's key."""
    dimension: StrictInt | None = Field(default=None, ge=1, le=4096)
    """Of the vectors; required for every model but minilm."""

    @model_validator(mode="after")
    def _dimension_known(self) -> Embedder:
        if self.dimension is None and not self.in_process:
            raise wrong("has no `dimension`", f"write how many numbers a vector of {self.model} has")
        return self

    @property
    def in_process(self) -> bool:
        return self.model == "minilm" and self.url is None


class Judge(Strict):
    """What tells whether two answers say the same: equal text first, then embeddings, then a model."""

    model: str | None = None
    """A model alias of this proxy that judges what the cheaper judges leave open; none: that stays open."""
    usd_per_day: StrictFloat = Field(default=1.0, ge=0)
    """What the model may cost in a day on this route, in USD, over all proxies."""
    share: StrictFloat = Field(default=0.45, ge=0, le=1)
    """Of the look-ups of a route that is on, the share that is judged; in shadow, all that is worth it."""
    same_from: StrictFloat = Field(default=0.95, ge=0, le=1)
    """Similarity of two answers from which they say the same."""
    different_below: StrictFloat = Field(default=0.6, ge=0, le=1)
    """Similarity of two answers below which they do not."""


class SemanticCacheSwitch(LeverSwitch):
    """Lever 2 on one route."""

    tier: Tier = "semantic"
    """exact: the very same request alone; semantic: the same question in other words too."""
    answers: Answers = "deterministic"
    """Which requests may be answered again: those with temperature 0, or any."""
    max_wrong: StrictFloat = Field(default=0.03, gt=0, le=0.5)
    """Of the semantic hits, the share that may be wrong; judged by audits, with 95 % confidence."""
    min_similarity: StrictFloat = Field(default=0.7, ge=0, le=1)
    """Of the nearest stored question, below which nothing is served."""
    min_margin: StrictFloat = Field(default=0.0, ge=0, le=1)
    """By how much the nearest question must beat the nearest one with another answer."""
    min_support: StrictInt = Field(default=1, ge=1, le=16)
    """How many stored questions must point to the answer that is served."""
    guards: tuple[GuardName, ...] = ("numbers",)
    """What must be the same in both questions: numbers, dates, negation, entities."""
    ttl_s: StrictFloat = Field(default=86_400.0, gt=0, le=31_536_000)
    """Seconds for which an answer may be given again, from when it was first given."""
    audit_share: StrictFloat = Field(default=0.05, ge=0.01, le=1)
    """Of the semantic hits, the share that is answered afresh and compared."""
    deadline_ms: StrictFloat = Field(default=40.0, gt=0, le=1000)
    """How long a request may wait for its look-up."""
    wait_s: StrictFloat = Field(default=5.0, ge=0, le=60)
    """How long a request may wait for the answer to an identical one that is on its way."""
    embedder: Embedder = Embedder()
    """What turns a question into a vector."""
    judge: Judge = Judge()
    """What tells whether two answers say the same."""


class BatchSwitch(LeverSwitch):
    """Lever 3 on one route. Its ``percent`` is of all sessions: the discount is published, so it has no control arm."""

    inspect: Inspect = "headers"
    """What Envoy's filter sees of a request: its headers alone, or its body too, which Envoy then holds until it has
    all of it."""
    opt_in: OptIn = "caller"
    """Who says that nobody waits for an answer: each request, or this route for all of its requests."""
    deadline_s: StrictFloat = Field(default=14_400.0, ge=3600, le=86_400)
    """Seconds until an answer must be there, where the caller names no deadline; shortly before, it is asked live."""
    no_provider_storage: StrictBool = False
    """true: no batching, since providers store the files of a batch."""
    regions: tuple[str, ...] = ()
    """Regions of deployments whose batches may have this route's requests; none: any."""
    flush_rows: StrictInt = Field(default=1000, ge=1, le=50_000)
    """Requests that make a batch go at once."""
    flush_age_s: StrictFloat = Field(default=120.0, gt=0, le=3600)
    """Seconds for which a request waits for others to share its batch."""
    keep_s: StrictFloat = Field(default=604_800.0, ge=3600, le=2_592_000)
    """Seconds for which an answer can be fetched."""
    fsync: Fsync = "everysec"
    """When an accepted request is on the disk: within a second, or always before its caller is told."""


class CascadeSwitch(Strict):
    """A deployment `fivelevers/cascade`: the weak model answers, and the strong one where that is not good enough."""

    weak: str = Field(min_length=1)
    """The model alias of this proxy that is asked first."""
    strong: str = Field(min_length=1)
    """The model alias of this proxy that answers whenever the weak one's answer is not taken."""
    verify: tuple[Look, ...] = Field(min_length=1)
    """How the weak answer is looked at; what can be applied to it must all be satisfied. schema: the request's JSON
    schema and those of its tools; validators: this route's; agreement: a second weak model; scorer: fitted to labelled
    answers."""
    agrees_with: str | None = Field(default=None, min_length=1)
    """The model alias that is asked the same at the same time, for `agreement`."""
    artifact: str | None = Field(default=None, min_length=1)
    """The file that `fivelevers route fit --cascade` wrote, relative to the policy file, for `scorer`."""
    max_cost_ratio: StrictFloat = Field(default=0.1, gt=0, le=1)
    """Of what the strong model costs, the share that the weak answer and the look at it may cost."""
    timeout_s: StrictFloat = Field(default=30.0, gt=0, le=600)
    """Seconds for the weak answer and the look at it; then the strong model is asked."""

    @model_validator(mode="after")
    def _complete(self) -> CascadeSwitch:
        for look, name in (("agreement", "agrees_with"), ("scorer", "artifact")):
            if (look in self.verify) != (getattr(self, name) is not None):
                raise wrong(f"needs both `{name}` and `{look}` in `verify`, or neither", "write the other, too")
        if len({self.weak, self.strong, self.agrees_with}) < 3:
            raise wrong("names one model twice", "weak, strong and agrees_with are different aliases")
        return self


class RoutingSwitch(LeverSwitch):
    """Lever 4 on one route."""

    artifact: str | None = Field(default=None, min_length=1)
    """The file that `fivelevers route fit` wrote, relative to the policy file."""
    strong: str | None = Field(default=None, min_length=1)
    """The model that answers whatever is not routed, for as long as there is no artifact, which names it otherwise."""
    callers_may_choose: StrictBool = False
    """Whether a request may name its model by the header `x-fivelevers-model`."""
    watch_share: StrictFloat = Field(default=0.01, ge=0, le=0.5)
    """Of the requests that a cheaper model answered, by an artifact of the route or of its cascade, the share that the
    strong one answers too, to be compared."""
    pair_share: StrictFloat = Field(default=0.05, ge=0, le=1)
    """In shadow mode, of the requests that a cheaper model had answered, the share that it does answer, to be
    compared."""
    watch_usd_per_day: StrictFloat = Field(default=1.0, ge=0)
    """What these second answers and their judge may cost in a day on this route, in USD, over all proxies."""
    cascade: CascadeSwitch | None = None
    """For aliases whose deployment is `fivelevers/cascade`, in the place of an artifact."""

    @model_validator(mode="after")
    def _one_way(self) -> RoutingSwitch:
        if self.cascade is not None and (self.artifact is not None or self.strong is not None):
            rule = "has a cascade beside `artifact` or `strong`"
            raise wrong(rule, "a request is routed before it is asked, or cascades: use two routes")
        return self


class QuantizationSwitch(LeverSwitch):
    """Lever 5 on one route."""

    registration: str | None = Field(default=None, min_length=1)
    """The verdict of `fivelevers fp8 gate` that the quantised deployments were registered by, relative to the policy
    file."""

    @model_validator(mode="after")
    def _proven(self) -> QuantizationSwitch:
        if self.mode is Mode.ON and self.registration is None:
            fix = "name the verdict of `fivelevers fp8 gate` that `fivelevers fp8 register` took, or write mode: shadow"
            raise wrong("is on without a `registration`", fix)
        return self


class Levers(Strict):
    prompt_cache: PromptCacheSwitch = PromptCacheSwitch()
    semantic_cache: SemanticCacheSwitch = SemanticCacheSwitch()
    batch: BatchSwitch = BatchSwitch()
    routing: RoutingSwitch = RoutingSwitch()
    quantization: QuantizationSwitch = QuantizationSwitch()

    def of(self, name: str) -> LeverSwitch:
        switch: LeverSwitch = getattr(self, name)
        return switch
