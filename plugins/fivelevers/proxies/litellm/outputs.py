"""How many tokens the answers of a route have: what a batch is predicted with."""

from __future__ import annotations

from typing import Final

_OUTPUT_TOKENS: Final = 300.0  # until answers of a route were seen
_LEARNED_SHARE: Final = 0.05
_ROUTES_AT_MOST: Final = 1000


class Outputs:
    """How many tokens answers of a route have, as this process saw them; bounded."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def of(self, route: str) -> float:
        return self._means.get(route, _OUTPUT_TOKENS)

    def learn(self, route: str, tokens: int) -> None:
        if route in self._means or len(self._means) < _ROUTES_AT_MOST:
            before = self._means.get(route, float(tokens))
            self._means[route] = before + _LEARNED_SHARE * (tokens - before)
