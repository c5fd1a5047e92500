"""What a model's server says of itself, and whether two of them can be held against each other. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PROBES: Final = (
    "Hello world",
    "  indent\tand\n\nlines, numbers 1234567.89, ünïcödé, 東京, 🦉 and <|im_end|>",
    "def f(x: int) -> int:\n    return x ** 2  # comment",
)
CONVERSATION: Final[tuple[Mapping[str, Any], ...]] = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is 2 + 2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "And 3 + 3?"},
)


@dataclass(frozen=True, slots=True)
class Identity:
    """``model``: as it is asked for. ``root``: the checkpoint that it serves, by its own word. ``process``: when it was
    started. ``quantization``: as /server_info has it, where ``tells`` (vLLM's development mode). ``tokens``: what it
    makes of probes and of a conversation; empty where it does not say.
    """

    url: str
    model: str
    addresses: frozenset[str] = frozenset()
    root: str | None = None
    version: str | None = None
    context: int | None = None
    process: str | None = None
    tells: bool = False
    quantization: str | None = None
    prefix_cache: bool | None = None
    tokens: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def clash(baseline: Identity, candidate: Identity) -> str | None:
    """Why these two can not be compared, by name; None where nothing speaks against it."""
    if baseline.addresses & candidate.addresses and baseline.model == candidate.model:
        return f"{baseline.url} and {candidate.url} are one server: {', '.join(sorted(baseline.addresses))}"
    if baseline.root is not None and baseline.root == candidate.root:
        return f"both serve {baseline.root}; name a server of the other checkpoint"
    unnamed = baseline.root is None or candidate.root is None  # two may have been started in the same moment
    if unnamed and baseline.process is not None and baseline.process == candidate.process:
        return f"{baseline.url} and {candidate.url} are one process, started at {baseline.process}"
    if baseline.tells and candidate.tells and baseline.quantization == candidate.quantization:
        return f"both run {baseline.quantization or 'an unquantised model'}; one of them has to be the quantised one"
    return _other_tokens(baseline, candidate)


def _other_tokens(baseline: Identity, candidate: Identity) -> str | None:
    for probe, tokens in baseline.tokens.items():
        if candidate.tokens.get(probe, tokens) != tokens:
            what = "chat template" if probe == "" else "tokenizer"
            return f"the {what} differs ({probe[:40]!r}): the two are asked different things; serve both with the same"
    return None
