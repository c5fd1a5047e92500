"""Who is treated: one stable number per session, the same for every lever of a route.

u = hash(route, session) in [0, 1). With holdout h, u < h gets no lever at all; a lever on for share p treats
h <= u < h + p(1 - h). Raising p only adds sessions.

The hash is a contract: fleets compare treated with holdout over months, across processes and releases. Test vectors:

    unit_interval("default", "")         0.7427107309826525
    unit_interval("chat", "session-1")   0.033275066762939565
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Arm:
    """Where a session stands on its route. The holdout is treated by nothing."""

    holdout: bool
    treated: frozenset[str]


def unit_interval(route: str, session: str, purpose: bytes = b"fivelevers arms") -> float:
    """u in [0, 1): a multiple of 2**-53, so that the float is exact. Another purpose draws apart from the arms."""
    name = route.encode("utf-8", "surrogatepass")
    digest = blake2b(key=purpose, digest_size=8)
    digest.update(len(name).to_bytes(8, "big") + name + session.encode("utf-8", "surrogatepass"))
    return (int.from_bytes(digest.digest(), "big") >> 11) * 2.0**-53


def assign(u: float, holdout: float, percents: Mapping[str, float]) -> Arm:
    """The arm of u. `holdout` and `percents` (by lever, of those that are on) are shares in 0..1."""
    for name, share in (("holdout", holdout), *percents.items()):
        if not 0 <= share <= 1:
            raise ValueError(f"{name}: {share} is not in 0..1; use a share such as 0.02")
    if u < holdout:
        return Arm(holdout=True, treated=frozenset())
    # In floats too h + 1 * (1 - h) is 1, so a share of 1 is everybody, and the sum never falls as p rises.
    treated = (name for name, share in percents.items() if u < holdout + share * (1 - holdout))
    return Arm(holdout=False, treated=frozenset(treated))


@dataclass(frozen=True, slots=True)
class Contrast:
    """Whom a guard compares to know what ``lever`` does: sessions treated by ``inside`` with those by ``outside``."""

    lever: str
    inside: frozenset[str]
    outside: frozenset[str]

    @property
    def key(self) -> str:
        """32 hex digits: another key, another comparison."""
        sets = "|".join(",".join(sorted(levers)) for levers in (self.inside, self.outside))
        return blake2b(sets.encode(), digest_size=16).hexdigest()


def contrasts(percents: Mapping[str, float], order: Collection[str]) -> Iterator[Contrast]:
    """One for each share (0..1) that is in use, of its lever. ``order``: the levers, in order of adoption.

    The arms are nested, since u is the same for all levers: just below a lever's share sessions have it, just above
    they do not, and all else is the same on both sides; so a canary is compared with the whole rest, and a lever on for
    everybody with the holdout. Levers with one share can not be told apart: the last one adopted stands for them, and
    when it has retreated, the one before it.
    """
    for share in sorted(set(percents.values()) - {0.0}):
        tied = [lever for lever in order if percents.get(lever) == share]
        inside = frozenset(lever for lever, other in percents.items() if other >= share)
        yield Contrast(tied[-1], inside, inside.difference(tied))
