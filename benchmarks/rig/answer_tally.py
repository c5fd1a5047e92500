"""What a policy did with the scored half of a stream."""

from __future__ import annotations

from dataclasses import dataclass

from fivelevers.levers.semantic_cache.bound import upper


@dataclass(slots=True)
class Tally:
    requests: int = 0
    hits: int = 0
    wrong: int = 0
    judged: int = 0
    compared: int = 0

    def add(self, *, hit: bool, wrong: bool = False, judged: bool = False, compared: int = 0) -> None:
        self.requests += 1
        self.hits += hit
        self.wrong += hit and wrong
        self.judged += judged
        self.compared += compared

    def figures(self) -> dict[str, float]:
        """Shares: hits of requests, wrong ones of hits with their upper bound and of requests, judge calls of requests,
        answers that those calls compared of requests. Without a hit none was wrong."""
        requests = max(1, self.requests)
        return {
            "hit": round(self.hits / requests, 5),
            "wrong_per_hit": round(self.wrong / self.hits, 5) if self.hits else 0.0,
            "wrong_upper95": round(upper(self.wrong, self.hits), 5) if self.hits else 0.0,
            "wrong_per_request": round(self.wrong / requests, 5),
            "judged": round(self.judged / requests, 5),
            "compared": round(self.compared / requests, 5),
        }
