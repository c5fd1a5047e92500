"""The coding agent: sessions in which every request repeats the whole history and adds one tool result."""

import random
import uuid
from collections.abc import Iterator
from typing import Any

from examples.traffic.builders.lines import DAY_S, Line, line, material, streamed

SYSTEM = {"$text": "coding/system"}
TOOLS = {"$json": "coding/tools"}
EPHEMERAL = {"type": "ephemeral"}


def build(rng: random.Random) -> list[Line]:
    sessions = material("coding_agent")["sessions"]
    starts = [DAY_S * 0.72 * number / len(sessions) + rng.uniform(0, 300) for number in range(len(sessions))]
    return [row for start, session in zip(starts, sessions, strict=True) for row in _session(rng, start, session)]


def transcripts() -> dict[str, list[dict[str, Any]]]:
    """The messages of each session by its name, in the form of the Messages API."""
    return {session["name"]: _messages(session) for session in material("coding_agent")["sessions"]}


def _messages(session: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, turn in enumerate(session["turns"]):
        if "ask" in turn:
            found.append(_message("user", {"type": "text", "text": turn["ask"]}))
            continue
        said = [{"type": "text", "text": turn["say"]}]
        if "call" not in turn:
            found.append(_message("assistant", *said))
            continue
        call_id = _call_id(session["name"], number)
        call = {"type": "tool_use", "id": call_id, "name": turn["call"], "input": turn["with"]}
        shown = {"$text": turn["shows"]} if "shows" in turn else turn["result"]
        found.append(_message("assistant", *said, call))
        found.append(_message("user", {"type": "tool_result", "tool_use_id": call_id, "content": shown}))
    return found


def _call_id(session: str, number: int) -> str:
    return "toolu_" + uuid.uuid5(uuid.NAMESPACE_OID, f"{session}/{number}").hex[:24]


def _message(role: str, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def _session(rng: random.Random, start: float, session: dict[str, Any]) -> Iterator[Line]:
    """One request for each message of the user: the engineer's text or a tool's result."""
    name, marks = session["name"], session.get("marks", True)
    fixed = _fixed(rng, session.get("alias", "coding-agent"), marks=marks)
    for number, message in enumerate(_messages(session), start=1):
        if message["role"] == "assistant":
            continue
        by_engineer = message["content"][0]["type"] == "text"
        start += _pause(rng, by_engineer=by_engineer and number > 1, slow=session.get("slow", False))
        turns: dict[str, Any] = {"$turns": name, "first": number} | ({"mark_last": True} if marks else {})
        body = {**fixed, "messages": turns, **streamed(rng, 0.9)}
        tenant = session.get("team", "platform")
        yield line("coding-agent", "messages", at=start, tenant=tenant, session=f"agent-{name}", body=body)


def _fixed(rng: random.Random, model: str, *, marks: bool) -> dict[str, Any]:
    """What is the same in every request of a session. An agent that marks its prefix also tells who it is."""
    body: dict[str, Any] = {"model": model, "max_tokens": 1024, "tools": TOOLS, "system": SYSTEM}
    if not marks:
        return body
    person = uuid.UUID(int=rng.getrandbits(128), version=4)
    session = uuid.UUID(int=rng.getrandbits(128), version=4)
    body["system"] = [{"type": "text", "text": SYSTEM, "cache_control": EPHEMERAL}]
    return body | {"metadata": {"user_id": f"user_{person.hex}_account__session_{session}"}}


def _pause(rng: random.Random, *, by_engineer: bool, slow: bool) -> float:
    """Seconds before a request: tools take a while, engineers read and think, slow ones fetch a coffee."""
    if by_engineer:
        return rng.uniform(360, 480) if slow else rng.uniform(40, 150)
    return rng.uniform(5, 28)
