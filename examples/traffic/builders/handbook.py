"""Questions to the company handbook: a retriever put three sections before each of them."""

import random
from typing import Any

from examples.traffic.builders.lines import Line, bursts, contains, line, material, streamed

PEAKS_S = (900.0, 3_600.0, 5_200.0)
INSTRUCTIONS = {"$text": "handbook/instructions"}
# (tenant, API, model alias) with the share of the questions that go this way
WAYS = (
    ("people", "responses", "handbook-rag"),
    ("sales", "responses", "handbook-rag-claude"),
    ("people", "chat", "handbook-rag"),
)
SHARES = (50, 28, 22)


def build(rng: random.Random) -> list[Line]:
    data = material("handbook")
    asked = [(question, text) for question in data["questions"] for text in question["ask"]]
    asked += [(question, question["ask"]) for question in data["silent"]] * 2
    asked += rng.sample(asked, 12)
    rng.shuffle(asked)
    starts = bursts(rng, len(asked), peaks_s=PEAKS_S, width_s=400.0, background=0.4)
    return [_line(rng, number, *row) for number, row in enumerate(zip(starts, asked, strict=True))]


def _line(rng: random.Random, number: int, start: float, asked: tuple[dict[str, Any], str]) -> Line:
    question, text = asked
    sections = [*([question["in"]] if "in" in question else []), *question["with"]]
    rng.shuffle(sections)
    tenant, api, model = rng.choices(WAYS, SHARES)[0]
    body = {"model": model, **(_responses if api == "responses" else _chat)(sections, text), **streamed(rng, 0.4)}
    session = f"handbook-{number:04d}"
    return line(
        "handbook", api, at=start, tenant=tenant, session=session, body=body, truth=contains(question.get("fact"))
    )


def _responses(sections: list[str], question: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "input_text", "text": {"$text": f"handbook/{name}"}} for name in sections]
    parts.append({"type": "input_text", "text": question})
    return {"instructions": INSTRUCTIONS, "input": [{"role": "user", "content": parts}], "max_output_tokens": 300}


def _chat(sections: list[str], question: str) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"type": "text", "text": {"$text": f"handbook/{name}"}} for name in sections]
    parts.append({"type": "text", "text": question})
    messages = [{"role": "system", "content": INSTRUCTIONS}, {"role": "user", "content": parts}]
    return {"messages": messages, "max_tokens": 300}
