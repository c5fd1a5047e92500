"""Which questions had been answered by the answer to a similar one: the live decision, as a route starts with it.

As in the proxy, a question that is not served is stored with its own answer (and where the log shows that this says the
same as a likely one's, as another question of that answer), and one that is served is not. Nobody judged these hits.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fivelevers.audit.duplicates import TTL_S
from fivelevers.audit.questions import Asking
from fivelevers.levers.semantic_cache.neighbour import Neighbour
from fivelevers.levers.semantic_cache.serve import NEIGHBOURS, Decision, Rule, Settings, decide
from fivelevers.levers.semantic_cache.signature import Signature, signature_of
from fivelevers.policy import SemanticCacheSwitch

Vectors = NDArray[np.float32]
_SETTINGS, _RULE = Settings.of(SemanticCacheSwitch()), Rule()


def look_up(questions: Sequence[Asking], vectors: Vectors, told: Callable[[int], None] = lambda _: None) -> None:
    """Count on the line of each question whether it had been served. ``questions``: by time, each with its vector, a
    row of unit length. ``told`` hears how many more were looked up."""
    scopes: defaultdict[bytes, list[int]] = defaultdict(list)
    for at, asking in enumerate(questions):
        scopes[asking.scope].append(at)
    for places in scopes.values():
        store = _Store(vectors[places])
        for row, place in enumerate(places):
            store.take(row, questions[place])
            told(1)


@dataclass(slots=True)
class _Store:
    """One scope. ``asked``: vectors of all its questions; ``vectors``: of those that are stored; ``since``: when they
    were answered."""

    asked: Vectors
    vectors: Vectors = field(init=False)
    since: NDArray[np.float64] = field(init=False)
    stored: list[Asking] = field(default_factory=list)
    signatures: list[Signature] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    said: dict[str, bytes | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.vectors, self.since = np.empty_like(self.asked), np.zeros(len(self.asked))

    def take(self, row: int, asking: Asking) -> None:
        signature = signature_of(asking.text)
        neighbours = self._nearest(row, asking.at)
        if neighbours:
            asking.line.near(neighbours[0].similarity)
        decision = decide(signature, neighbours, _SETTINGS, _RULE)
        asking.line.looked_at += 1
        if decision.served and decision.answer is not None:
            self._count(asking, self.said[decision.answer])
        elif asking.stored:
            self._keep(row, asking, signature, decision)

    def _nearest(self, row: int, now: float) -> list[Neighbour]:
        since = self.since[: len(self.stored)]
        near = self.vectors[: len(self.stored)] @ self.asked[row]
        near[(since > now) | (since + TTL_S <= now)] = -np.inf
        best = np.argsort(-near, kind="stable")[:NEIGHBOURS]
        return [self._neighbour(int(at), float(near[at])) for at in best if near[at] > -np.inf]

    def _neighbour(self, at: int, similarity: float) -> Neighbour:
        return Neighbour(str(at), self.answers[at], similarity, self.signatures[at])

    def _keep(self, row: int, asking: Asking, signature: Signature, decision: Decision) -> None:
        likely = decision.candidates if asking.said is not None else ()
        answer = next((one for one in likely if self.said[one] == asking.said), str(len(self.stored)))
        self.said.setdefault(answer, asking.said)
        self.vectors[len(self.stored)], self.since[len(self.stored)] = self.asked[row], asking.answered
        self.stored.append(asking)
        self.signatures.append(signature)
        self.answers.append(answer)

    @staticmethod
    def _count(asking: Asking, served: bytes | None) -> None:
        line = asking.line
        line.similar.add(asking.charge)
        if served is not None and asking.said is not None:
            line.compared += 1
            line.agreed += served == asking.said
