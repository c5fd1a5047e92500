"""A fitted look at a weak model's answer: how likely it is right, and how likely the strong model's would be.

It is a `Model`, fitted to what can be read off prompt and answer together. So everything that holds for routing holds
here: a threshold is a price of success, and the certificate is made the same way. Only the costs differ: the weak
answer is paid in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fivelevers.levers.routing.answer_features import answer_features
from fivelevers.levers.routing.artifact import Artifact, Decision
from fivelevers.levers.routing.chances import Chances
from fivelevers.levers.routing.examples import Examples, Floats
from fivelevers.levers.routing.features import Features, features_of

_MOST = 0.5  # of the answers without chances: the last number of an answer's surface, so of the model's mean


@dataclass(frozen=True, slots=True)
class Scorer:
    """Of the answers to one ``prompt``. ``cell``: what the artifact calls its route."""

    artifact: Artifact
    prompt: str
    features: Features
    cell: str

    @classmethod
    def of(cls, artifact: Artifact, prompt: str, cell: str) -> Scorer:
        return cls(artifact, prompt, features_of(prompt), cell)

    @property
    def by_chances(self) -> bool:
        """Whether the answers that it learned from told how sure the model was of their tokens."""
        return bool(self.artifact.model.surface_mean[-1] < _MOST)

    def decide(self, answer: str, chances: Chances | None = None) -> Decision | None:
        """Whose answer is given: this weak one, or the strong model's. None where it does not tell what those told that
        were learned from."""
        if self.by_chances and chances is None:
            return None
        look = looked_at(self.features, self.prompt, answer, chances=chances if self.by_chances else None)
        return self.artifact.decide(look, self.cell, len(self.prompt))

    def takes(self, answer: str, chances: Chances | None = None) -> bool:
        """Whether a weak answer may be given in the place of the strong model's. False on an unknown route too."""
        decision = self.decide(answer, chances)
        return decision is not None and decision.model != self.artifact.certificate.strong


def looked_at(
    prompt: Features, asked: str, answer: str, *, cut: bool = False, chances: Chances | None = None
) -> Features:
    """The prompt's surface, the answer's, and the answer's words. ``asked`` is the prompt's text."""
    found = answer_features(asked, answer, cut=cut, chances=chances)
    return Features(prompt.surface + found.surface, found.words)


def cascaded(pair: Examples, looks: Sequence[Features], verify_usd: float = 0.0) -> Examples:
    """The examples of a cascade from those of its two models, the weak one first: ``looks`` are of its answers."""
    first: Floats = pair.cost_usd[:, 0] + verify_usd
    cost_usd = np.stack([first, first + pair.cost_usd[:, 1]], axis=1)
    return Examples(pair.models, looks, pair.routes, pair.chars, pair.success, cost_usd, pair)
