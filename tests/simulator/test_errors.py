"""Every error reaches the SDK as the exception that the real provider's error does."""

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from examples.provider_simulator.app import create_app
from examples.provider_simulator.simulator import Simulator
from tests.simulator.conftest import Running

HI: list[Any] = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
        ("529", openai.InternalServerError),
    ],
)
def test_openai_faults(
    oai: openai.OpenAI, simulator: Running, fault: str, expected: type[openai.APIStatusError]
) -> None:
    simulator.sim.faults.add({"fault": fault, "retry_after_s": 7})
    with pytest.raises(expected) as error:
        oai.chat.completions.create(model="gpt-4.1", messages=HI)
    assert error.value.request_id
    assert error.value.response.headers.get("retry-after") == ("7" if fault == "429" else None)
    assert simulator.bill()["requests"] == 0


@pytest.mark.parametrize(
    ("fault", "status", "kind", "expected"),
    [
        ("429", 429, "rate_limit_error", anthropic.RateLimitError),
        ("500", 500, "api_error", anthropic.InternalServerError),
        ("529", 529, "overloaded_error", anthropic.InternalServerError),
    ],
)
def test_anthropic_faults(
    claude: anthropic.Anthropic,
    simulator: Running,
    fault: str,
    status: int,
    kind: str,
    expected: type[anthropic.APIStatusError],
) -> None:
    simulator.sim.faults.add({"fault": fault})
    with pytest.raises(expected) as error:
        claude.messages.create(model="claude-haiku-4-5", max_tokens=10, messages=HI)
    body: Any = error.value.body
    assert (error.value.status_code, body["type"], body["error"]["type"]) == (status, "error", kind)
    assert body["request_id"] == error.value.request_id


def test_unknown_model(oai: openai.OpenAI, claude: anthropic.Anthropic) -> None:
    with pytest.raises(openai.NotFoundError) as error:
        oai.chat.completions.create(model="gpt-0", messages=HI)
    assert error.value.code == "model_not_found"
    with pytest.raises(anthropic.NotFoundError, match="claude-0"):
        claude.messages.create(model="claude-0", max_tokens=10, messages=HI)
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model="gpt-4.1", max_tokens=10, messages=HI)


OPENAI_400: list[tuple[str, dict[str, Any], str]] = [
    ("chat/completions", {"messages": HI}, "model"),
    ("chat/completions", {"model": "gpt-4.1"}, "messages"),
    ("chat/completions", {"model": "gpt-4.1", "messages": []}, "messages"),
    ("chat/completions", {"model": "gpt-4.1", "messages": "hi"}, "messages"),
    ("chat/completions", {"model": "gpt-4.1", "messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
    ("chat/completions", {"model": "gpt-4.1", "messages": [{"role": "user"}]}, "messages[0].content"),
    ("chat/completions", {"model": "gpt-4.1", "messages": HI, "temperature": 9}, "temperature"),
    ("chat/completions", {"model": "gpt-4.1", "messages": HI, "max_tokens": 99_999_999}, "max_tokens"),
    ("chat/completions", {"model": "gpt-4.1", "messages": HI, "stream": "yes"}, "stream"),
    ("chat/completions", {"model": "gpt-4.1", "messages": HI, "stream_options": {}}, "stream_options"),
    (
        "chat/completions",
        {"model": "gpt-4.1", "messages": HI, "tool_choice": {"type": "function", "function": {"name": "x"}}},
        "tool_choice",
    ),
    ("responses", {"model": "gpt-4.1"}, "input"),
    ("responses", {"model": "gpt-4.1", "input": 5}, "input"),
    ("embeddings", {"model": "text-embedding-3-small"}, "input"),
    ("embeddings", {"model": "text-embedding-3-small", "input": [""]}, "input"),
]


@pytest.mark.parametrize(("path", "body", "param"), OPENAI_400)
def test_openai_names_the_wrong_field(simulator: Running, path: str, body: dict[str, Any], param: str) -> None:
    answer = simulator.http.post(f"/v1/{path}", json=body, headers={"authorization": "Bearer k"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["type"]) == (param, "invalid_request_error")


ANTHROPIC_400: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": 5, "messages": HI}, "model"),
    ({"model": "claude-haiku-4-5", "messages": HI}, "max_tokens"),
    ({"model": "claude-haiku-4-5", "max_tokens": 5}, "messages"),
    ({"model": "claude-haiku-4-5", "max_tokens": 5, "messages": []}, "messages"),
    ({"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [{"role": "system", "content": "x"}]}, "role"),
    ({"model": "claude-haiku-4-5", "max_tokens": 5, "messages": [{"role": "user", "content": [{}]}]}, "type"),
    (
        {
            "model": "claude-haiku-4-5",
            "max_tokens": 5,
            "messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}],
        },
        "non-empty",
    ),
    ({"model": "claude-haiku-4-5", "max_tokens": 5, "messages": HI, "temperature": 1.5}, "temperature"),
    ({"model": "claude-haiku-4-5", "max_tokens": 99_999_999, "messages": HI}, "max_tokens"),
]


@pytest.mark.parametrize(("body", "named"), ANTHROPIC_400)
def test_anthropic_names_the_wrong_field(simulator: Running, body: dict[str, Any], named: str) -> None:
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01"}
    answer = simulator.http.post("/v1/messages", json=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert named in answer.json()["error"]["message"]


def test_version_header_is_required(simulator: Running) -> None:
    body = {"model": "claude-haiku-4-5", "max_tokens": 5, "messages": HI}
    answer = simulator.http.post("/v1/messages", json=body, headers={"x-api-key": "k"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "anthropic-version: header is required")


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff", b"", b"null"])
@pytest.mark.parametrize("path", ["chat/completions", "responses", "embeddings", "messages"])
def test_malformed_json(simulator: Running, path: str, raw: bytes) -> None:
    headers = {"x-api-key": "k", "anthropic-version": "x"}
    assert simulator.http.post(f"/v1/{path}", content=raw, headers=headers).status_code == 400


def test_no_key(simulator: Running) -> None:
    assert simulator.http.post("/v1/chat/completions", json={}).status_code == 401
    answer = simulator.http.post("/v1/messages", json={})
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")


def test_too_long_a_prompt(oai: openai.OpenAI, simulator: Running) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        oai.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "word " * 130_000}])
    assert error.value.code == "context_length_exceeded"
    assert simulator.bill()["requests"] == 0


def test_unknown_path(oai: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        oai.moderations.create(input="x")


TURNS = {
    "chat/completions": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}, {"role": "assistant"}],
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
    ],
}
FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}
WHOLE: dict[str, dict[str, Any]] = {
    "chat/completions": {
        "model": "gpt-4.1",
        "stream": False,
        "messages": TURNS["chat/completions"],
        "tools": [{"type": "function", "function": FUNCTION}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"properties": {"a": {}}}}},
        "stop": ["x"],
        "n": 1,
        "max_tokens": 5,
        "stream_options": None,
        "prompt_cache_options": {"mode": "implicit"},
    },
    "responses": {
        "model": "gpt-4.1",
        "stream": False,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "instructions": "x",
        "tools": [{"type": "function"} | FUNCTION],
        "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {"properties": {"a": {"enum": ["b"]}}}}},
        "previous_response_id": None,
        "max_output_tokens": 5,
    },
    "messages": {
        "model": "claude-haiku-4-5",
        "stream": False,
        "max_tokens": 5,
        "messages": TURNS["messages"],
        "system": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}],
        "tools": [{"name": "f", "input_schema": FUNCTION["parameters"]}],
        "tool_choice": {"type": "tool", "name": "f"},
        "stop_sequences": ["x"],
        "thinking": {"type": "disabled"},
        "cache_control": {"type": "ephemeral"},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
    },
    "embeddings": {"model": "text-embedding-3-small", "input": ["x"], "dimensions": 8, "encoding_format": "float"},
}
JUNK: list[Any] = [None, True, 7, -1, 0.5, "x", "", [], [7], ["x"], [None], [[]], {}, {"a": 1}, {"type": "x"}, [{}]]


def spoiled(value: Any) -> Iterator[Any]:
    """The value with junk in each place in turn, at every depth."""
    yield from JUNK
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        for inner in spoiled(value[key]):
            changed = dict(value) if isinstance(value, dict) else list(value)
            changed[key] = inner
            yield changed


@pytest.mark.parametrize("path", sorted(WHOLE))
async def test_no_body_breaks_the_simulator(path: str) -> None:
    """Wrong types anywhere in a body: a 400 or 404 as from the provider, or an answer, and never a 500."""
    headers = {"x-api-key": "k", "anthropic-version": "x"}
    transport = httpx.ASGITransport(create_app(Simulator(latency_scale=0)))
    async with httpx.AsyncClient(transport=transport, base_url="http://sim", headers=headers) as client:
        assert (await client.post(f"/v1/{path}", json=WHOLE[path])).status_code == 200
        for body in spoiled(WHOLE[path]):
            answer = await client.post(f"/v1/{path}", json=body)
            assert answer.status_code in {200, 400, 404}, body


def test_a_wrong_answer(oai: openai.OpenAI, simulator: Running) -> None:
    ask: list[Any] = [{"role": "user", "content": "What is 20 + 22?"}]
    said = [oai.chat.completions.create(model="gpt-5", messages=ask).choices[0].message.content]
    simulator.sim.faults.add({"fault": "wrong", "match": {"model": "gpt-5"}})
    said.append(oai.chat.completions.create(model="gpt-5", messages=ask).choices[0].message.content)
    assert ["42" in str(one) for one in said] == [True, False]
