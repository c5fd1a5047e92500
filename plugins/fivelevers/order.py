"""The five levers, in the order in which a route adopts them.

Policy validation, `plan`, attribution and the report all read `LEVERS`; nothing else in the package knows the order.
It is the order of adoption, not of execution: within one request the engine decides what runs when.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Mode(StrEnum):
    """What a lever may do on a route."""

    OFF = "off"
    SHADOW = "shadow"  # decide and record, change nothing
    ON = "on"
    DOES_NOT_PAY = "does-not-pay"  # measured here and left alone: later levers need not wait for it
    NOT_APPLICABLE = "not-applicable"  # can not act here, such as an FP8 deployment on a managed API


@dataclass(frozen=True, slots=True)
class Lever:
    """One lever. `depends_on` names the levers to settle first; `must_be_measured` is what `on` has to wait for."""

    number: int
    name: str
    title: str
    depends_on: tuple[str, ...]
    must_be_measured: str


LEVERS: Final = (
    Lever(
        1,
        "prompt_cache",
        "Provider prompt cache",
        (),
        "reuse of each prefix within its lifetime, and cache reads against the writes they cost",
    ),
    Lever(
        2,
        "semantic_cache",
        "Semantic answer cache",
        ("prompt_cache",),
        "share of semantic hits judged wrong, with its bound, and what a hit saves on a prompt that is cached already",
    ),
    Lever(
        3,
        "batch",
        "Batch lane",
        ("prompt_cache", "semantic_cache"),
        "how long the route's callers wait, and the share of live traffic that is left to batch after the answer cache",
    ),
    Lever(
        4,
        "routing",
        "Cost-aware routing",
        ("prompt_cache", "semantic_cache", "batch"),
        "success rate of each tier on the route's own requests, and what leaving a warm prefix costs",
    ),
    Lever(
        5,
        "quantization",
        "Quantized serving",
        ("prompt_cache", "semantic_cache", "batch", "routing"),
        "quality of the FP8 deployment against the original on the route's own tasks, and its throughput",
    ),
)

LEVER_NAMES: Final = tuple(lever.name for lever in LEVERS)
