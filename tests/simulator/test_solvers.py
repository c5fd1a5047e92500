"""Each solver: right answers, plausible wrong ones, and silence where nothing is asked."""

from decimal import Decimal
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.provider_simulator.conversation import Tool, text_part
from examples.provider_simulator.solvers import arithmetic, classification, extraction, lookup, tool_choice

PLANS = """# Plans
| Plan | Price | Seats |
|---|---|---|
| Starter | $19 per month | 3 |
| Pro | $49 per month | 10 |
| Pro annual | $490 per year | 10 |

## Refunds
- Monthly plans can be refunded within 14 days.
- Annual plans can be refunded within 30 days. You can cancel any time in Settings.

## Exports
- An export with attachments is ready after 24 hours.
- An export without attachments is ready after 10 minutes.
- A paused account keeps its data for 90 days.
"""
LABELS = """Classify the ticket and answer with the label alone.
- billing: invoice, charged twice, refund
- bug: crash, error message, broken
- other: anything else
"""


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("What is 17 * 23 + 4?", "395"),
        ("compute 3 x $19.99 + 2 \u00d7 5", "69.97"),
        ("What is 15% of 80?", "12"),
        ("(2 + 3) * 4", "20"),
        ("What is 1,200 - 350.5?", "849.5"),
        ("Three seats at $12 each, so 3 * 12, minus 4 refunded: what is 3 * 12 - 4?", "32"),
        ("what's 10 / 4", "2.5"),
        ("What is 7 - -2?", "9"),
    ],
)
def test_arithmetic(question: str, value: str) -> None:
    found = arithmetic.solve(question)
    assert found is not None
    assert found.right == value
    assert value not in found.wrong
    assert found.wrong


@pytest.mark.parametrize(
    "question",
    [
        "What is 24/7 support?",
        "Refund 2 items in 14-30 days",
        "What is the status of order 2024-05-01?",
        "Hello",
        "1 / 0",
    ],
)
def test_no_arithmetic(question: str) -> None:
    assert arithmetic.solve(question) is None


@given(st.integers(-999, 999), st.integers(0, 999), st.integers(1, 99))
def test_arithmetic_agrees_with_decimals(left: int, right: int, factor: int) -> None:
    value = arithmetic.evaluate(f"({left} + {right}) * {factor} - {right} / {factor}")
    assert value == (Decimal(left) + right) * factor - Decimal(right) / factor


@given(st.text(alphabet="0123456789+-*/(). $%x", max_size=60))
def test_arithmetic_never_fails(text: str) -> None:
    arithmetic.solve(f"What is {text}?")


@pytest.mark.parametrize(
    ("text", "label", "difficulty"),
    [
        ("The app crashes with an error message", "bug", "easy"),
        ("I was charged twice, please refund me", "billing", "easy"),
        ("My invoice is broken", "billing", "hard"),
        ("Good morning", "other", "medium"),
    ],
)
def test_classification(text: str, label: str, difficulty: str) -> None:
    found = classification.solve(LABELS, text)
    assert found is not None
    assert (found.right, found.difficulty) == (label, difficulty)
    assert label not in found.wrong


def test_no_classification_without_being_asked() -> None:
    assert classification.solve("Our plans:\n- Pro: large, quick\n- Starter: small, cheap", "pro?") is None


SCHEMA: Any = {
    "type": "object",
    "properties": {
        "order_number": {"type": "string"},
        "amount_usd": {"type": "number", "description": "the total amount in dollars"},
        "quantity": {"type": "integer"},
        "urgent": {"type": "boolean"},
        "priority": {"type": "string", "enum": ["low", "high"]},
        "items": {"type": "array", "items": {"type": "string"}},
        "phone": {"type": ["string", "null"]},
    },
    "required": ["order_number"],
}
FORM = """Hi,
Order number: A-123
Total: $1,249.50
Quantity: 3
Urgent: yes
Items: desk, chair and lamp
This has a high priority for us."""


def test_extraction() -> None:
    found = extraction.solve(SCHEMA, FORM)
    assert orjson.loads(found.right) == {
        "order_number": "A-123",
        "amount_usd": 1249.5,
        "quantity": 3,
        "urgent": True,
        "priority": "high",
        "items": ["desk", "chair", "lamp"],
        "phone": None,
    }


def test_wrong_extractions_still_follow_the_schema() -> None:
    found = extraction.solve(SCHEMA, FORM)
    assert len(found.wrong) >= 4
    for wrong in [found.right, *found.wrong]:
        jsonschema.validate(orjson.loads(wrong), SCHEMA)
    assert found.right not in found.wrong


def test_extraction_from_running_text_and_nested_objects() -> None:
    schema = {"properties": {"customer": {"type": "object", "properties": {"name": {"type": "string"}}}}}
    found = extraction.solve(schema, "Please note the following. Name: Ada Lovelace. She wants a call.")
    assert orjson.loads(found.right) == {"customer": {"name": "Ada Lovelace"}}


def test_enum_by_cues_of_the_instructions() -> None:
    schema = {"properties": {"category": {"type": "string", "enum": ["billing", "bug", "other"]}}}
    found = extraction.solve(schema, "The app crashes", LABELS)
    assert orjson.loads(found.right) == {"category": "bug"}


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("What is the price of the Pro plan?", "$49"),
        ("How much does the Pro plan cost", "$49"),
        ("How much is Pro annual?", "$490"),
        ("How do I terminate my account?", "cancel any time"),
        ("How long to get a refund on an annual plan?", "30 days"),
        ("Within how many days can I be reimbursed for a monthly plan?", "14 days"),
        ("When is an export with attachments ready?", "24 hours"),
        ("When is an export without attachments ready?", "10 minutes"),
        ("what happens to my data when I pause", "90 days"),
    ],
)
def test_lookup(question: str, fact: str) -> None:
    found = lookup.solve(PLANS, question)
    assert found is not None
    assert fact in found.right
    assert found.wrong
    assert all(fact not in wrong.replace("$490", "") or fact == "$490" for wrong in found.wrong)


def test_a_follow_up_borrows_from_the_question_before() -> None:
    found = lookup.solve(PLANS, "And annual?", "What is the price of the Pro plan?")
    assert found is not None
    assert "$490" in found.right


@pytest.mark.parametrize("question", ["Who won the world cup in chess?", "", "???"])
def test_nothing_to_look_up(question: str) -> None:
    assert lookup.solve(PLANS, question) is None


@given(st.text(max_size=400), st.text(max_size=80))
def test_lookup_never_fails(context: str, question: str) -> None:
    lookup.solve(context, question)


def tool(name: str, **properties: Any) -> Tool:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return Tool(name, "", schema, text_part(name))


TOOLS = (
    tool("read_file", path={"type": "string"}),
    tool("run_tests", pattern={"type": "string"}),
    tool("search", query={"type": "string"}, limit={"type": "integer"}),
)


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("Please read src/billing/proration.py", "read_file", {"path": "src/billing/proration.py"}),
        ('Now run the tests of "test_proration"', "run_tests", {"pattern": "test_proration"}),
        ("Search for `round_half_up`, first 5 hits", "search", {"query": "round_half_up", "limit": 5}),
    ],
)
def test_tool_choice(text: str, name: str, arguments: dict[str, Any]) -> None:
    call = tool_choice.choose(TOOLS, text)
    assert call is not None
    assert (call.name, orjson.loads(call.arguments)) == (name, arguments)


def test_no_tool_named() -> None:
    assert tool_choice.choose(TOOLS, "Thank you, that looks good to me.") is None
