"""A cascade that is watched, where a scorer's certificate lets it take weak answers: the strong model is asked behind
the request. What becomes of the two is certificate_watch.py's.

An answer of tool calls is none that a scorer was certified for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from fivelevers.engine import Answer
from fivelevers.levers.routing.chances import chances_in
from fivelevers.output import Output
from fivelevers.proxies.litellm import reading
from fivelevers.proxies.litellm.cascading import Begun, Cascading
from fivelevers.proxies.litellm.certificate_watch import CertificateWatch
from fivelevers.proxies.litellm.own_calls import router


@dataclass(frozen=True, slots=True)
class CascadeWatching:
    cascading: Cascading

    def answered(self, answer: Answer, response: Any) -> None:
        """The caller has its answer. Where the strong model alone was asked, the certificate had no say."""
        cascading, begun = self.cascading, self.cascading.begun
        scorer = None if begun is None or begun.strong is None else begun.what.scorer
        if begun is None or scorer is None:
            return
        weak = None if cascading.weak is None else reading.output_of(cascading.weak)
        if weak is not None and weak.tool_calls:
            return
        decision = None if weak is None else scorer.decide(weak.text, chances_in(cascading.weak.choices[0]))
        watch = CertificateWatch(cascading.plan, cascading.state, scorer.artifact, cascading.body)
        pair = partial(self._pair, watch, begun, weak) if weak is not None and cascading.took_weak else None
        watch.see(None if decision is None else decision.point, pair)

    async def _pair(self, watch: CertificateWatch, begun: Begun, weak: Output) -> tuple[Output, Output] | None:
        heard = await watch.second(router().acompletion(**begun.call.apart(self.cascading.settings.strong)))
        return None if heard is None else (weak, reading.output_of(heard[1]))


def cascade_watching(cascading: Cascading | None) -> CascadeWatching | None:
    """None without a scorer: no certificate says what a cascade may lose whose answers are looked at otherwise."""
    return None if cascading is None or "scorer" not in cascading.settings.verify else CascadeWatching(cascading)
