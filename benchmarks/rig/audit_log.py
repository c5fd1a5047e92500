"""A log to audit, of any length: three kinds of traffic, rows of 2 kB prompts, the same for the same seed.

An assistant answers under one of 24 manuals, and is asked the same again now and then; agents go on in conversations; a
pipeline works through its tickets in bursts. Text is cut from one random page, so that a row costs little to make.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

CHARS = 2000
_START = 1_790_000_000.0
_PAGE = 2_000_000
_MANUALS, _QUESTION, _SAME_AGAIN = 24, 400, 0.05
_TURNS, _AGENTS = 6, 40
_BURST = 40
_A_DAY = 40_000
_FILE_BUFFER = 2**20


def write(path: Path, rows: int, seed: int) -> None:
    """One JSON line a row, by time."""
    rng = random.Random(seed)
    with path.open("wb", buffering=_FILE_BUFFER) as file:
        for row in _rows(rows, rng):
            file.write(orjson.dumps(row))
            file.write(b"\n")


def _rows(rows: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    page = _Page(rng)
    kinds = (_assistant(page, rng), _agents(page, rng), _pipeline(page))
    at = _START
    for number in range(rows):
        at += rng.expovariate(_A_DAY / 86_400)
        # Bursts come together; between them people ask.
        yield next(kinds[2] if number // _BURST % 3 == 0 else kinds[rng.random() < 0.4]) | {"timestamp": round(at, 3)}


class _Page:
    """Random words; ``cut`` gives a piece of them."""

    def __init__(self, rng: random.Random) -> None:
        words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(5000)]
        self._text = " ".join(rng.choices(words, k=_PAGE // 6))[:_PAGE]
        self.rng = rng

    def cut(self, chars: int) -> str:
        start = self.rng.randrange(len(self._text) - chars)
        return self._text[start : start + chars]


def _assistant(page: _Page, rng: random.Random) -> Iterator[dict[str, Any]]:
    manuals = [page.cut(CHARS - _QUESTION) for _ in range(_MANUALS)]
    asked = [page.cut(_QUESTION)]
    while True:
        if rng.random() < _SAME_AGAIN:
            question = rng.choice(asked)
        else:
            question = page.cut(_QUESTION)
            asked = [*asked[-200:], question]
        said = [{"role": "user", "content": question}]
        yield _row("assistant", "claude-sonnet-4-5", rng.choice(manuals), said, page, temperature=0)


def _agents(page: _Page, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Each conversation has its turns of some 300 characters, one after the other."""
    system, each = page.cut(800), (CHARS - 800) // _TURNS
    open_: list[list[dict[str, str]]] = [[] for _ in range(_AGENTS)]
    while True:
        said = open_[rng.randrange(_AGENTS)]
        if len(said) >= 2 * _TURNS:
            said.clear()
        said.append({"role": "user", "content": page.cut(each)})
        row = _row("agent", "claude-opus-4-5", system, list(said), page, stream=True)
        said.append({"role": "assistant", "content": row["response"]["content"][0]["text"]})
        yield row


def _pipeline(page: _Page) -> Iterator[dict[str, Any]]:
    system = page.cut(300)
    while True:
        said = [{"role": "user", "content": page.cut(CHARS - 300)}]
        yield _row("tickets", "claude-haiku-4-5", system, said, page, temperature=0)


def _row(alias: str, model: str, system: str, said: list[dict[str, str]], page: _Page, **rest: Any) -> dict[str, Any]:
    chars = len(system) + sum(len(one["content"]) for one in said)
    text = page.cut(page.rng.randint(100, 300))
    return {
        "model_group": alias,
        "key_alias": f"{alias}-{page.rng.randrange(5)}",
        "request": {"model": model, "max_tokens": 500, "system": system, "messages": said, **rest},
        "response": {
            "model": model,
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": chars // 4, "output_tokens": len(text) // 4},
        },
    }
