"""Random requests to the four APIs: mostly good, with strange things in any place. Data for test_fuzz.py."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.wire.odd_bodies import PATHS

Values = st.SearchStrategy[Any]


@dataclass(frozen=True)
class Ask:
    api: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def path(self) -> str:
        return PATHS[self.api]

    @property
    def content(self) -> bytes:
        return json.dumps(self.body).encode()  # lone surrogates and NaN travel as JSON's escapes and words


def _maybe(good: Values) -> Values:
    """Good 19 times in 20 (a body has many parts), else anything that JSON can say."""
    return st.integers(1, 20).flatmap(lambda dice: good if dice < 20 else JSON)


TEXT = st.one_of(
    st.sampled_from(
        ["What is 17 * 23 + 4?", "Look up the parcel of 4711.", "Hello", "\u0663 \u00d7 4", "\U0001f4e6" * 5, ""]
    ),
    st.text(max_size=40),
)
JSON: Values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(width=32) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
MARK = st.sampled_from([{"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}, {"type": "other"}, {}, None])
SCHEMA = st.sampled_from(
    [
        {"type": "object", "properties": {"parcel": {"type": "integer"}}, "required": ["parcel"]},
        {"type": "object", "properties": {}, "additionalProperties": False},
        {"type": "string"},
    ]
)
NAMES = st.sampled_from(["look_up", "cancel_order", "a-b", "", "two words"])


def _blocks(text_type: str) -> Values:
    block = st.fixed_dictionaries(
        {"type": _maybe(st.just(text_type)), "text": _maybe(TEXT)}, optional={"cache_control": _maybe(MARK)}
    )
    return TEXT | st.lists(_maybe(block), min_size=1, max_size=3)


def _messages(text_type: str, *roles: str) -> Values:
    message = st.fixed_dictionaries(
        {"role": _maybe(st.sampled_from(roles)), "content": _maybe(_blocks(text_type))},
        optional={"name": _maybe(NAMES), "cache_control": _maybe(MARK)},
    )
    return st.lists(_maybe(message), min_size=1, max_size=4)


_FUNCTION = st.fixed_dictionaries(
    {"name": NAMES, "parameters": SCHEMA}, optional={"description": TEXT, "strict": st.booleans()}
)
_CHAT_TOOL = st.fixed_dictionaries(
    {"type": st.just("function"), "function": _FUNCTION}, optional={"cache_control": MARK}
)
_ANTHROPIC_TOOL = st.fixed_dictionaries({"name": NAMES, "input_schema": SCHEMA}, optional={"cache_control": MARK})
_RESPONSES_TOOL = _FUNCTION.map(lambda function: {"type": "function", **function})
_LIMITS = st.sampled_from([1, 2000])  # between them it depends on an answer's wording whether it is cut

# Who asks, what a proxy reads for itself, and what nobody knows. Nothing that makes either proxy wait.
_ABOUT: dict[str, Values] = {
    "user": TEXT,
    "metadata": st.dictionaries(st.sampled_from(["session_id", "tags", "user_id", "x"]), JSON, max_size=2),
    "litellm_session_id": TEXT,
    "tags": st.lists(TEXT, max_size=2),
    "temperature": st.sampled_from([0, 0.7, 1]),
    "top_p": st.floats(0, 1),
    "drop_params": st.booleans(),
    "no_such_field": JSON,
}
_MODELS = ["support-assistant", "handbook-rag-claude", "coding-agent", "ticket-pipeline"]


def _body(required: dict[str, Values], optional: dict[str, Values], models: Sequence[str] = _MODELS) -> Values:
    """Every required field, and a few of the others."""
    wide = {**_ABOUT, **optional}
    chosen = st.lists(st.sampled_from(sorted(wide)), max_size=6, unique=True)
    extra = chosen.flatmap(lambda names: st.fixed_dictionaries({name: _maybe(wide[name]) for name in names}))
    good = st.fixed_dictionaries({"model": st.sampled_from(models), **{n: _maybe(v) for n, v in required.items()}})
    return st.builds(lambda one, two: {**one, **two}, good, extra)


_STREAM = st.booleans()
_CHAT = _body(
    {"messages": _messages("text", "system", "user", "assistant", "developer"), "stream": _STREAM},
    {
        "max_tokens": _LIMITS,
        "stream_options": st.fixed_dictionaries({"include_usage": st.booleans()}),
        "tools": st.lists(_CHAT_TOOL, max_size=2),
        "tool_choice": st.sampled_from(["auto", "none", "required"]),
        "response_format": SCHEMA.map(lambda s: {"type": "json_schema", "json_schema": {"name": "it", "schema": s}}),
        "prompt_cache_key": TEXT,
        "seed": st.integers(0, 9),
    },
)
_ANTHROPIC = _body(
    {"messages": _messages("text", "user", "assistant"), "max_tokens": _LIMITS, "stream": _STREAM},
    {
        "system": _blocks("text"),
        "tools": st.lists(_ANTHROPIC_TOOL, max_size=2),
        "tool_choice": st.sampled_from([{"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "look_up"}]),
        "stop_sequences": st.lists(TEXT, max_size=2),
    },
)
_RESPONSES = _body(
    {"input": TEXT | _messages("input_text", "system", "user", "assistant"), "stream": _STREAM},
    {
        "instructions": TEXT,
        "max_output_tokens": st.just(2000),
        "tools": st.lists(_RESPONSES_TOOL, max_size=2),
        "conversation": TEXT | st.fixed_dictionaries({"id": TEXT}),
        "previous_response_id": TEXT,
        "prompt_cache_key": TEXT,
        "store": st.booleans(),
    },
)
_EMBEDDINGS = _body(
    {"input": TEXT | st.lists(TEXT, max_size=3)},
    {"encoding_format": st.just("float")},
    models=["ticket-embeddings"],
)
_BODIES = {"chat": _CHAT, "messages": _ANTHROPIC, "responses": _RESPONSES, "embeddings": _EMBEDDINGS}

# Header values are visible ASCII: what else a client may send, HTTP libraries refuse to.
_VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
_HEADERS = st.dictionaries(
    st.sampled_from(
        ["x-fivelevers-session", "x-fivelevers-skip", "x-litellm-session-id", "x-litellm-tags", "user-agent"]
    ),
    _VALUE | st.just("all"),
    max_size=2,
)
_OFTEN = ["chat", "messages", "responses"] * 2 + ["embeddings"]
ASKS: st.SearchStrategy[Ask] = st.sampled_from(_OFTEN).flatmap(
    lambda api: st.builds(Ask, st.just(api), _HEADERS, _BODIES[api])
)
