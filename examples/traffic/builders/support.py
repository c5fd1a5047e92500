"""The support assistant: short questions, many of them the same in other words, some that only look the same."""

import random
from collections.abc import Iterator
from typing import Any

from examples.traffic.builders.lines import Line, bursts, contains, line, material, streamed

SINGLES, CHATTER, REPEATS = 240, 24, 10
PEAKS_S = (700.0, 2_100.0, 2_500.0, 4_300.0, 6_400.0)
SYSTEM = {"role": "system", "content": {"$text": ["support/system", "support/context"]}}


def build(rng: random.Random) -> list[Line]:
    data = material("support")
    asked = list(_singles(rng, data)) + [[{"ask": rng.choice(data["chatter"]), "fact": None}] for _ in range(CHATTER)]
    asked += [turns for turns in data["conversations"] for _ in range(2)]
    rng.shuffle(asked)
    starts = bursts(rng, len(asked), peaks_s=PEAKS_S, width_s=150.0, background=0.3)
    repeated = set(rng.sample([number for number, turns in enumerate(asked) if len(turns) == 1], REPEATS))
    found = []
    for number, (start, turns) in enumerate(zip(starts, asked, strict=True)):
        session = list(_session(rng, number, start, turns))
        found += session + ([_again(rng, session[0])] if number in repeated else [])
    return found


def _singles(rng: random.Random, data: Any) -> Iterator[list[dict[str, Any]]]:
    """One-question sessions: each intent at least once, popular ones more often."""
    intents, weights = data["intents"], [intent["weight"] for intent in data["intents"]]
    for intent in intents + rng.choices(intents, weights, k=SINGLES - len(intents)):
        yield [{"ask": _dressed(rng, data, rng.choice(intent["ask"])), "fact": intent["fact"]}]


def _dressed(rng: random.Random, data: Any, question: str) -> str:
    """Some people greet, some say thanks, most just ask."""
    opener = rng.choice(data["openers"]) if rng.random() < 0.15 and not question.startswith(("Hi", "Hello")) else ""
    return opener + question + (rng.choice(data["closers"]) if rng.random() < 0.12 else "")


def _session(rng: random.Random, number: int, start: float, turns: list[dict[str, Any]]) -> Iterator[Line]:
    tenant = rng.choices(("support-emea", "support-amer", "sales"), (55, 37, 8))[0]
    messages: list[dict[str, Any]] = [SYSTEM]
    stream = streamed(rng, 0.5)
    options = {"stream_options": {"include_usage": True}} if stream and rng.random() < 0.5 else {}
    for turn in turns:
        messages = [*messages, {"role": "user", "content": turn["ask"]}]
        body = {
            "model": "support-assistant",
            "temperature": 0,
            "max_tokens": 400,
            "messages": messages,
            **stream,
            **options,
        }
        yield line(
            "support",
            "chat",
            at=start,
            tenant=tenant,
            session=f"support-{number:04d}",
            body=body,
            truth=contains(turn["fact"]),
        )
        messages = [*messages, {"role": "assistant", "content": turn.get("reply", "")}]
        start += rng.uniform(20, 90)


def _again(rng: random.Random, first: Line) -> Line:
    """The same request once more: the answer did not help."""
    return {**first, "at": round(first["at"] + rng.uniform(25, 70), 1)}
