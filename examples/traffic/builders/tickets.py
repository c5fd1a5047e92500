"""The ticket pipeline: sorts, judges, reads and embeds what arrived. It runs in bursts, and nobody waits for it."""

import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from examples.traffic.builders.lines import Line, line, material

BURSTS_S = (420.0, 2_400.0, 4_500.0, 6_600.0)
FORMS, REFUNDS, EMBEDDINGS = 48, 30, 24
FIELDS: dict[str, dict[str, Any]] = {
    "customer_name": {"type": "string"},
    "studio": {"type": "string"},
    "invoice_number": {"type": "string"},
    "product": {"type": "string"},
    "amount": {"type": "number", "description": "In dollars, without the sign."},
    "priority": {"type": "string", "enum": ["low", "normal", "high"]},
}
SCHEMA = {"type": "object", "properties": FIELDS, "required": list(FIELDS), "additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "ticket_form", "strict": True, "schema": SCHEMA}}
TOOL = {"type": "function", "function": {"name": "save_form", "description": "Store a form.", "parameters": SCHEMA}}
ONLY_TOOL = {"type": "function", "function": {"name": "save_form"}}


def build(rng: random.Random) -> list[Line]:
    data = material("tickets")
    jobs = list(_sorted(data)) + [_form(rng, data, number) for number in range(FORMS)]
    jobs += [_refund(rng, data, number) for number in range(REFUNDS)]
    jobs += [_embedding(rng, data, number) for number in range(EMBEDDINGS)]
    rng.shuffle(jobs)
    found: list[Line] = []
    clocks = {burst: burst for burst in BURSTS_S}
    for job in jobs:
        burst = rng.choice(BURSTS_S)
        for api, session, body, truth in job:
            clocks[burst] += rng.uniform(0.1, 2.5)
            row = line("tickets", api, at=clocks[burst], tenant="operations", session=session, body=body, truth=truth)
            found.append(row)
    return found


Job = list[tuple[str, str, dict[str, Any], dict[str, Any] | None]]


def _chat(system: str, text: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "system", "content": {"$text": f"tickets/{system}"}}, {"role": "user", "content": text}]
    return {"model": "ticket-pipeline", "temperature": 0, "max_tokens": 200, "messages": messages, **more}


def _sorted(data: Any) -> Iterator[Job]:
    """Each ticket: its category, then its mood."""
    for number, (category, mood, text) in enumerate(data["tickets"]):
        session = f"ticket-{number:04d}"
        yield [
            ("chat", session, _chat("classify", text), {"check": "label", "value": category}),
            ("chat", session, _chat("sentiment", text), {"check": "label", "value": mood}),
        ]


def _form(rng: random.Random, data: Any, number: int) -> Job:
    """A filled-in form; a third of them is read by a forced tool call instead of a response format."""
    value = {
        "customer_name": rng.choice(data["people"]),
        "studio": rng.choice(data["studios"]),
        "invoice_number": f"QB-{rng.randint(10_000, 99_999)}",
        "product": rng.choice(data["products"]),
        "amount": rng.randint(500, 19_900) / 100,
        "priority": rng.choice(FIELDS["priority"]["enum"]),
    }
    shown = value | {"amount": f"${value['amount']:.2f}"}
    rows = [f"{name.replace('_', ' ').capitalize()}: {text}" for name, text in shown.items()]
    if rng.random() < 0.5:
        rng.shuffle(rows)
    text = rng.choice(data["form_titles"]) + "\n" + "\n".join(rows)
    reading: dict[str, Any] = (
        {"tools": [TOOL], "tool_choice": ONLY_TOOL} if number % 3 == 0 else {"response_format": FORMAT}
    )
    return [("chat", f"form-{number:04d}", _chat("extract", text, **reading), {"check": "json", "value": value})]


def _refund(rng: random.Random, data: Any, number: int) -> Job:
    price = Decimal(rng.choice((900, 1_900, 4_900, 12_900))) / 100
    count, credit = rng.randint(2, 9), Decimal(rng.randint(100, 1_500)) / 100
    shapes = (
        (f"{count} * {price} - {credit}", count * price - credit),
        (f"{count} x ({price} - {credit})", count * (price - credit)),
        (f"{price} + {credit} + {price}", price + credit + price),
        (f"{count} \u00d7 {price}", count * price),
    )
    sum_text, total = rng.choice(shapes)
    text = rng.choice(data["refunds"]).format(studio=rng.choice(data["studios"]), sum=sum_text)
    return [("chat", f"refund-{number:04d}", _chat("refund", text), {"check": "number", "value": float(total)})]


def _embedding(rng: random.Random, data: Any, number: int) -> Job:
    texts = [text for _, _, text in rng.sample(data["tickets"], rng.choice((1, 1, 4, 8, 16)))]
    body = {"model": "ticket-embeddings", "input": texts[0] if len(texts) == 1 else texts, "encoding_format": "float"}
    return [("embeddings", f"embed-{number:04d}", body, None)]
