"""Who is treated: one stable number per session, the same for every lever of a route.

u = hash(route, session) in [0, 1). With holdout h, u < h gets no lever at all; a lever on for share p treats
h <= u < h + p(1 - h). Raising p only adds sessions.

The hash is a contract: fleets compare treated with holdout over months, across processes and releases. Test vectors:

    unit_interval("default", "")         0.7427107309826525
    unit_interval("chat", "session-1")   0.033275066762939565
"""

from collections.abc import Mapping
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
