"""The policy file: which requests form a route, and which levers may act on it.

``load`` is strict: every problem in the file is reported at once, each with its line, path, value, rule and fix.
``Policy.match`` is pure and gives every request exactly one route.
"""

from fivelevers.policy.changes import changes
from fivelevers.policy.levers import (
    BatchSwitch,
    CascadeSwitch,
    Embedder,
    Judge,
    Levers,
    LeverSwitch,
    QuantizationSwitch,
    RoutingSwitch,
    SemanticCacheSwitch,
)
from fivelevers.policy.model import (
    DEFAULT_ROUTE,
    EMPTY,
    Caller,
    Match,
    Policy,
    Route,
    Validator,
    end_user_digest,
)
from fivelevers.policy.reading import Reading, expand, load, parse, read, read_text

__all__ = [
    "DEFAULT_ROUTE",
    "EMPTY",
    "BatchSwitch",
    "Caller",
    "CascadeSwitch",
    "Embedder",
    "Judge",
    "LeverSwitch",
    "Levers",
    "Match",
    "Policy",
    "QuantizationSwitch",
    "Reading",
    "Route",
    "RoutingSwitch",
    "SemanticCacheSwitch",
    "Validator",
    "changes",
    "end_user_digest",
    "expand",
    "load",
    "parse",
    "read",
    "read_text",
]
