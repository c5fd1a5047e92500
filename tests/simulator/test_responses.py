"""The Responses API, as the official SDK reads it."""

from typing import Any

import openai
import pytest

LOOKUP: Any = {
    "type": "function",
    "name": "find_order",
    "description": "Find an order",
    "parameters": {"type": "object", "properties": {"order_number": {"type": "string"}}, "required": ["order_number"]},
}


def test_answer_and_stored_copy(oai: openai.OpenAI) -> None:
    answer = oai.responses.create(model="gpt-5", instructions="Be brief.", input="What is 6 * 7?")
    assert "42" in answer.output_text
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.cached_tokens == 0
    assert oai.responses.retrieve(answer.id).output_text == answer.output_text


def test_event_sequence(oai: openai.OpenAI) -> None:
    events = list(oai.responses.create(model="gpt-5", input="What is 6 * 7?", stream=True))
    kinds = list(dict.fromkeys(event.type for event in events))
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == text
    assert last.response.usage is not None


def test_stream_helper_accumulates_tool_calls(oai: openai.OpenAI) -> None:
    with oai.responses.stream(
        model="gpt-5",
        input="I am in a hurry. Order number: B-9. Find the order.",
        tools=[LOOKUP],
        tool_choice="required",
    ) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_response()
    (call,) = final.output
    assert call.type == "function_call"
    assert (call.name, call.arguments) == ("find_order", '{"order_number":"B-9"}')
    assert "response.function_call_arguments.done" in kinds


def test_json_schema_format(oai: openai.OpenAI) -> None:
    schema: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
    answer = oai.responses.create(
        model="gpt-5",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "City: Oslo"}]}],
        text={"format": {"type": "json_schema", "name": "place", "schema": schema}},
    )
    assert answer.output_text == '{"city":"Oslo"}'


def test_previous_response_brings_its_items(oai: openai.OpenAI) -> None:
    facts = "Handbook.\nThe office opens at 8:30.\nParking costs $12 a day.\n\nHow much is parking?"
    first = oai.responses.create(model="gpt-5", input=facts)
    second = oai.responses.create(model="gpt-5", input="When does the office open?", previous_response_id=first.id)
    assert "8:30" in second.output_text
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens


def test_unknown_previous_response(oai: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        oai.responses.create(model="gpt-5", input="hi", previous_response_id="resp_none")
    assert error.value.code == "previous_response_not_found"


def test_not_stored_when_told_so(oai: openai.OpenAI) -> None:
    answer = oai.responses.create(model="gpt-5", input="hi", store=False)
    with pytest.raises(openai.NotFoundError):
        oai.responses.retrieve(answer.id)


def test_cut_by_the_output_limit(oai: openai.OpenAI) -> None:
    answer = oai.responses.create(model="gpt-5", input="Hello there", max_output_tokens=3)
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"
