"""How far the candidate's probabilities are from the original's, token by token, on texts that both read.

Each text is a prompt with the original's answer, as its own tokens. vLLM tells the log-probability of every token of a
prompt and of the likeliest others; the KL divergence is summed over those, and what is left of the mass counts as one
token more, so it is a little below the true one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp, log
from typing import Any, Final

from fivelevers.errors import ServerError
from fivelevers.levers.quantization.drift import Drift
from fivelevers.providers.model_servers import ModelServer

LIKELIEST: Final = 20  # vLLM's `--max-logprobs`, by default
MOST_TOKENS: Final = 2048
_LEAST = 1e-12

Spoken = Sequence[Mapping[str, Any] | None]
"""By token of the prompt: {token id: {"logprob": x}}; None for the first."""


async def read(server: ModelServer, model: str, tokens: Sequence[int]) -> Spoken | None:
    """None where the server does not tell. Raises ServerError where it does not answer."""
    body = {"model": model, "prompt": list(tokens), "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": LIKELIEST}
    try:
        found = await server.answer("/v1/completions", body)
    except ServerError as error:
        if error.status is not None and error.status < 500:
            return None
        raise
    choices = found.get("choices")
    spoken = choices[0].get("prompt_logprobs") if isinstance(choices, list) and choices else None
    return spoken if isinstance(spoken, list) and len(spoken) == len(tokens) else None


async def tokens_of(server: ModelServer, model: str, messages: Sequence[Any], answer: str) -> tuple[int, ...] | None:
    """A conversation with its answer, by the server's own template; None where it does not say."""
    whole = [*messages, {"role": "assistant", "content": answer}]
    found = await server.tokens({"model": model, "messages": whole, "add_generation_prompt": False})
    return None if found is None else found[:MOST_TOKENS]


def shared(texts: Sequence[tuple[int, ...]]) -> int:
    """How many tokens all of them begin with, the first one at least, which has nothing before it: a system prompt
    would count once for each text.
    """
    first, last = min(texts), max(texts)
    alike = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    return max(1, alike if len(texts) > 1 else 1)


def drift(tokens: Sequence[int], baseline: Spoken, candidate: Spoken, *, after: int) -> Drift | None:
    """Of the tokens ``after`` so many. None where one of them leaves a token out."""
    mine, its, kl = 0.0, 0.0, 0.0
    for token, one, other in zip(tokens[after:], baseline[after:], candidate[after:], strict=True):
        said = _logprob(one or {}, token), _logprob(other or {}, token)
        if one is None or other is None or said[0] is None or said[1] is None:
            return None
        mine, its, kl = mine - said[0], its - said[1], kl + _kl(one, other)
    return Drift(len(tokens) - after, mine, its, kl) if len(tokens) > after else None


def _logprob(spoken: Mapping[str, Any], token: int) -> float | None:
    found = spoken.get(str(token))
    value = found.get("logprob") if isinstance(found, Mapping) else None
    return float(value) if isinstance(value, int | float) else None


def _kl(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Over the tokens that both tell of, and one that stands for all others."""
    pairs = [(_logprob(one, int(token)), _logprob(other, int(token))) for token in one.keys() & other.keys()]
    both = [(exp(mine), exp(its)) for mine, its in pairs if mine is not None and its is not None]
    rest = [max(1 - sum(pair[at] for pair in both), _LEAST) for at in (0, 1)]
    return max(0.0, sum(p * log(max(p, _LEAST) / max(q, _LEAST)) for p, q in (*both, (rest[0], rest[1]))))
