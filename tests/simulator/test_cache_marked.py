"""Anthropic's cache rules one by one, on the wire, with the clock moved by hand."""

from typing import Any

import anthropic
import pytest

from tests.simulator.conftest import Running

MODEL = "claude-sonnet-4-6"  # minimum 1024
LONG = "The quick brown fox jumps over the lazy dog. " * 150  # 1,500 tokens
M5 = {"type": "ephemeral"}
H1 = {"type": "ephemeral", "ttl": "1h"}


def block(text: str, mark: dict[str, str] | None = None) -> Any:
    return {"type": "text", "text": text} | ({"cache_control": mark} if mark else {})


def used(message: Any) -> tuple[int, int, int, int]:
    """(read, 5m write, 1h write, rest) in tokens."""
    usage = message.usage
    writes = usage.cache_creation
    assert usage.cache_creation_input_tokens == writes.ephemeral_5m_input_tokens + writes.ephemeral_1h_input_tokens
    return (
        usage.cache_read_input_tokens,
        writes.ephemeral_5m_input_tokens,
        writes.ephemeral_1h_input_tokens,
        usage.input_tokens,
    )


class Caller:
    """Sends requests that differ in what the test is about."""

    def __init__(self, client: anthropic.Anthropic, running: Running) -> None:
        self.client = client
        self.running = running

    def ask(self, *, model: str = MODEL, **body: Any) -> tuple[int, int, int, int]:
        body.setdefault("messages", [{"role": "user", "content": "hi"}])
        return used(self.client.messages.create(model=model, max_tokens=16, **body))

    def wait(self, seconds: float) -> None:
        self.running.http.post("/sim/clock", json={"advance_s": seconds}).raise_for_status()


@pytest.fixture
def caller(claude: anthropic.Anthropic, simulator: Running) -> Caller:
    return Caller(claude, simulator)


def test_written_then_read(caller: Caller) -> None:
    system = [block(LONG, M5)]
    first, second = caller.ask(system=system), caller.ask(system=system)
    assert first == (0, first[1], 0, 4)
    assert second == (first[1], 0, 0, 4)
    assert first[1] > 1024


def test_nothing_is_cached_without_a_mark(caller: Caller) -> None:
    assert [caller.ask(system=[block(LONG)])[:3] for _ in range(2)] == [(0, 0, 0)] * 2


@pytest.mark.parametrize(("mark", "life_s"), [(M5, 300), (H1, 3600)])
def test_lifetime_runs_from_the_request(caller: Caller, mark: dict[str, str], life_s: int) -> None:
    system = [block(LONG, mark)]
    caller.ask(system=system)
    caller.wait(life_s - 5)
    assert caller.ask(system=system)[0] > 0
    caller.wait(life_s + 1)
    assert caller.ask(system=system)[0] == 0


def test_a_read_refreshes_for_nothing(caller: Caller) -> None:
    system = [block(LONG, M5)]
    caller.ask(system=system)
    for _ in range(4):
        caller.wait(200)
        read, write_5m, write_1h, _ = caller.ask(system=system)
        assert read > 0
        assert (write_5m, write_1h) == (0, 0)


def test_below_the_minimum_silently_uncached(caller: Caller) -> None:
    short = [block("word " * 1000, M5)]
    assert [caller.ask(system=short)[:3] for _ in range(2)] == [(0, 0, 0)] * 2
    assert caller.ask(system=[block(LONG, M5)], model="claude-opus-4-6")[:3] == (0, 0, 0)  # its minimum is 4096


def test_order_is_tools_system_messages(caller: Caller) -> None:
    tool = {"name": "t", "description": LONG, "input_schema": {"type": "object"}, "cache_control": M5}
    write = caller.ask(tools=[tool], system="a")[1]
    assert write > 1024
    assert caller.ask(tools=[tool], system="b")[0] == write  # the system prompt comes after the tools
    assert caller.ask(tools=[tool | {"description": "x" + LONG}], system="a")[0] == 0


def test_a_changed_system_prompt_loses_the_messages(caller: Caller) -> None:
    messages = [{"role": "user", "content": [block(LONG, M5)]}]
    caller.ask(system="a", messages=messages)
    assert caller.ask(system="a", messages=messages)[0] > 0
    assert caller.ask(system="b", messages=messages)[0] == 0


def test_tool_choice_keeps_tools_and_system_and_loses_messages(caller: Caller) -> None:
    tool = {"name": "t", "description": "d", "input_schema": {"type": "object"}}
    body: dict[str, Any] = {
        "tools": [tool],
        "system": [block(LONG, M5)],
        "messages": [{"role": "user", "content": [block(LONG, M5)]}],
    }
    whole = caller.ask(**body)[1]
    read, write, _, _ = caller.ask(**body, tool_choice={"type": "any"})
    assert 0 < read < whole
    assert read + write == whole


def test_string_and_one_text_block_are_the_same(caller: Caller) -> None:
    messages: list[Any] = [{"role": "user", "content": LONG}, {"role": "assistant", "content": "ok"}]
    tail = [{"role": "user", "content": [block("go on", M5)]}]
    caller.ask(messages=messages + tail)
    messages[0] = {"role": "user", "content": [block(LONG)]}
    assert caller.ask(messages=messages + tail)[0] > 0


def test_looks_back_twenty_blocks_and_no_further(caller: Caller) -> None:
    def turns(after: int) -> list[Any]:
        content = [block(LONG, M5 if after == 0 else None)]
        content += [block(f"note {number}") for number in range(after)]
        if after:
            content[-1]["cache_control"] = M5
        return [{"role": "user", "content": content}]

    caller.ask(messages=turns(0))
    assert caller.ask(messages=turns(20))[0] == 0  # the entry is the 21st block back
    caller.running.sim.cache.clear()
    caller.ask(messages=turns(0))
    assert caller.ask(messages=turns(19))[0] > 0


def test_a_growing_conversation_reads_what_it_wrote(caller: Caller) -> None:
    turns: list[Any] = [{"role": "user", "content": [block(LONG, M5)]}]
    written = caller.ask(messages=turns)[1]
    turns[0] = {"role": "user", "content": [block(LONG)]}
    turns += [{"role": "assistant", "content": "fine"}, {"role": "user", "content": [block("and now?", M5)]}]
    read, write, _, _ = caller.ask(messages=turns)
    assert read == written
    assert 0 < write < 20


def test_two_lifetimes_in_one_request(caller: Caller) -> None:
    body: dict[str, Any] = {
        "system": [block(LONG, H1)],
        "messages": [{"role": "user", "content": [block(LONG, M5)]}],
    }
    _, write_5m, write_1h, rest = caller.ask(**body)
    assert write_1h > 1024
    assert write_5m > 1024
    assert rest == 0
    caller.wait(400)
    read, again_5m, again_1h, _ = caller.ask(**body)
    assert (read, again_5m, again_1h) == (write_1h, write_5m, 0)


def test_an_hour_after_five_minutes_is_refused(caller: Caller) -> None:
    with pytest.raises(anthropic.BadRequestError, match="must not come after"):
        caller.ask(system=[block(LONG, M5)], messages=[{"role": "user", "content": [block("x", H1)]}])


def test_five_marks_are_refused(caller: Caller) -> None:
    with pytest.raises(anthropic.BadRequestError, match="A maximum of 4 blocks"):
        caller.ask(messages=[{"role": "user", "content": [block(str(i), M5) for i in range(5)]}])


def test_a_mark_on_an_empty_block_or_of_an_unknown_kind_is_refused(caller: Caller) -> None:
    with pytest.raises(anthropic.BadRequestError, match="empty text"):
        caller.ask(system=[block("", M5)])
    with pytest.raises(anthropic.BadRequestError, match="ephemeral"):
        caller.ask(system=[block("x", {"type": "ephemeral", "ttl": "2h"})])


def test_top_level_mark(caller: Caller) -> None:
    messages = [{"role": "user", "content": LONG}]
    written = caller.ask(messages=messages, cache_control=M5)[1]
    assert written > 1024
    assert caller.ask(messages=messages, cache_control=M5)[0] == written


def test_top_level_mark_needs_a_free_place_and_the_same_lifetime(caller: Caller) -> None:
    system = [block(str(i), M5) for i in range(4)]
    with pytest.raises(anthropic.BadRequestError, match="are taken"):
        caller.ask(system=system, cache_control=M5)
    with pytest.raises(anthropic.BadRequestError, match="differs"):
        caller.ask(messages=[{"role": "user", "content": [block("x", M5)]}], cache_control=H1)
    assert caller.ask(messages=[{"role": "user", "content": [block(LONG, M5)]}], cache_control=M5)[1] > 0


def test_isolated_by_key_and_model(caller: Caller) -> None:
    system = [block(LONG, M5)]
    caller.ask(system=system)
    assert caller.ask(system=system, model="claude-sonnet-5")[0] == 0
    with anthropic.Anthropic(base_url=caller.running.url, api_key="sk-other", max_retries=0) as other:
        assert Caller(other, caller.running).ask(system=system)[0] == 0
    assert caller.ask(system=system)[0] > 0


def test_readable_only_once_the_answer_has_begun(caller: Caller) -> None:
    """A request that hangs before its first byte has written nothing yet; afterwards its entry is there."""
    system = [block(LONG, M5)]
    caller.running.sim.faults.add({"fault": "timeout", "hang_s": 30, "times": 1})
    with pytest.raises(anthropic.APITimeoutError):
        caller.client.with_options(timeout=0.2).messages.create(
            model=MODEL, max_tokens=9, system=[block(LONG, M5)], messages=[{"role": "user", "content": "hi"}]
        )
    assert caller.ask(system=system)[0] == 0
    assert caller.ask(system=system)[0] > 0


def test_a_stream_reports_the_same(caller: Caller) -> None:
    body: dict[str, Any] = {"model": MODEL, "max_tokens": 9, "system": [block(LONG, M5)]}
    body["messages"] = [{"role": "user", "content": "hi"}]
    for expected_read in (False, True):
        with caller.client.messages.stream(**body) as stream:
            final = stream.get_final_message()
        assert (used(final)[0] > 0) == expected_read
