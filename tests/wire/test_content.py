"""Text is kept where the policy says so and nowhere else, and goes when somebody says so, on the running proxy."""

from __future__ import annotations

import json
import threading
import uuid
from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from fivelevers.cli import app
from fivelevers.errors import ContentError
from fivelevers.policy import Route
from fivelevers.stores.content import StoredContent, read
from fivelevers.stores.content_key import KEY, Keys
from fivelevers.stores.ledger import Ledger
from tests.wire.conftest import CONTENT_KEY
from tests.wire.proxy import ACME, CLAUDE, GPT, Proxy, together, wait_for
from tests.wire.workers import rewrite_policy

KEEPER = "sk-test-org-7b8c9d0e1f"
KEPT = Route(name="kept", content="all")
COMBINATIONS = [(api, alias, s) for api in ("chat", "messages", "responses") for alias in (GPT, CLAUDE) for s in (0, 1)]


@pytest.fixture(scope="module")
def keeping(proxy: Proxy) -> Iterator[Proxy]:
    """The proxy with a route that keeps everything of one key."""
    good = proxy.policy.read_text()
    policy = yaml.safe_load(good)
    policy["routes"].insert(0, {"name": "kept", "match": {"key_alias": "org"}, "content": "all", "retention_days": 3})
    proxy.no_faults()
    rewrite_policy(proxy, yaml.safe_dump(policy))
    yield proxy
    rewrite_policy(proxy, good)


def ask(proxy: Proxy, key: str, api: str, alias: str, stream: bool, marker: str) -> str:
    """A question whose answer holds the marker as the prompt does; the request's id."""
    system = f"Facts.\n- The vault code of Marl House is {marker}.\n- The garden opens at nine."
    question = "What is the vault code of Marl House?"
    reply = proxy.call(api, alias, question, system=system, stream=stream, key=key)
    assert marker in reply.text
    proxy.attempts(reply.request_id)
    return reply.request_id


def ask_all(proxy: Proxy, key: str, marker: str) -> dict[str, str]:
    """Every API and provider, streamed and not; the API of each request by its id."""
    calls = [partial(ask, proxy, key, api, alias, bool(s), marker) for api, alias, s in COMBINATIONS]
    return {name: api for name, (api, _, _) in zip(together(calls), COMBINATIONS, strict=True)}


def files_with(proxy: Proxy, text: str) -> list[str]:
    paths = [path for path in proxy.stack.state_dir.rglob("*") if path.is_file()]
    assert {"ledger.db", "litellm.log"} <= {path.name for path in paths}
    return [path.name for path in paths if text.encode() in _bytes(path)]


def _bytes(path: Any) -> bytes:
    try:
        data: bytes = path.read_bytes()
    except FileNotFoundError:  # a segment of the spool that was drained meanwhile
        return b""
    return data


def stored(proxy: Proxy, keys: Keys) -> dict[str, StoredContent]:
    ledger = Ledger(proxy.stack.ledger_url)
    try:
        return {content.request_id: content for content in read(ledger, KEPT, 0.0, keys)}
    finally:
        ledger.close()


def keys() -> Keys:
    return Keys.from_environment({KEY: CONTENT_KEY})


def test_by_default_no_text_is_kept_anywhere(keeping: Proxy) -> None:
    marker = f"plain-{uuid.uuid4().hex}"
    ids = ask_all(keeping, ACME, marker)
    assert files_with(keeping, marker) == []
    rows = keeping.query("select request_id from content")
    assert ids.keys().isdisjoint(row["request_id"] for row in rows)


def test_where_the_policy_says_so_all_is_kept_and_encrypted(keeping: Proxy) -> None:
    marker = f"secret-{uuid.uuid4().hex}"
    ids = ask_all(keeping, KEEPER, marker)
    found = wait_for(lambda: stored(keeping, keys()), lambda found: ids.keys() <= found.keys())
    for name, api in ids.items():
        content = found[name]
        asked = json.dumps(content.request)
        assert content.api == api
        assert f"The vault code of Marl House is {marker}." in asked
        assert "What is the vault code of Marl House?" in asked
        assert marker in content.answer.text
        assert KEEPER not in asked
        assert "headers" not in asked
    assert files_with(keeping, marker) == []
    with pytest.raises(ContentError, match=KEY):
        stored(keeping, Keys.from_environment({KEY: b64encode(bytes(32)).decode()}))
    (row,) = keeping.query("select expires_at - at as s from content where request_id = ?", next(iter(ids)))
    assert row["s"] == pytest.approx(3 * 86400)


def test_tool_calls_are_kept_as_the_model_wrote_them(keeping: Proxy) -> None:
    parameters = {"type": "object", "properties": {"order_number": {"type": "integer"}}, "required": ["order_number"]}
    tool = {"type": "function", "function": {"name": "file_return", "parameters": parameters}}
    choice = {"type": "function", "function": {"name": "file_return"}}
    reply = keeping.call("chat", GPT, "Order number: 4711", key=KEEPER, tools=[tool], tool_choice=choice)
    found = wait_for(lambda: stored(keeping, keys()), lambda found: reply.request_id in found)[reply.request_id]
    (call,) = found.answer.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("file_return", {"order_number": 4711})
    assert found.request["tools"] == [tool]


def test_who_tells_litellm_to_log_no_messages_is_obeyed(keeping: Proxy) -> None:
    body = {"model": GPT, "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
    sent = {"authorization": f"Bearer {KEEPER}", "x-litellm-enable-message-redaction": "true"}
    quiet = keeping.http.post("/v1/chat/completions", json=body, headers=sent).raise_for_status()
    name = keeping.call("chat", GPT, "What is 3 + 3?", key=KEEPER).request_id
    found = wait_for(lambda: stored(keeping, keys()), lambda found: name in found)
    assert name in found
    keeping.attempts(quiet.headers["x-fivelevers-request"])
    assert quiet.headers["x-fivelevers-request"] not in stored(keeping, keys())


def test_an_end_user_is_forgotten_while_others_go_on(keeping: Proxy) -> None:
    person, other = (f"{name}-{uuid.uuid4().hex[:8]}@example.org" for name in ("mallory", "trent"))
    theirs = together([partial(_as, keeping, person, n) for n in range(6)])
    before = together([partial(_as, keeping, other, n) for n in range(2)])
    wait_for(lambda: stored(keeping, keys()), lambda found: {*theirs, *before} <= found.keys())
    stop, meanwhile = threading.Event(), list[str]()

    def traffic() -> None:
        while not stop.is_set():
            meanwhile.append(_as(keeping, other, len(meanwhile)))

    thread = threading.Thread(target=traffic)
    thread.start()
    try:
        where = ["--state-dir", str(keeping.stack.state_dir), "--ledger", keeping.stack.ledger_url]
        result = CliRunner().invoke(app, ["forget", "--end-user", person, "--yes", *where])
    finally:
        stop.set()
        thread.join()
    assert result.exit_code == 0, result.output
    assert files_with(keeping, person) == []
    # Envoy's access log names the ids of requests, which by now nobody can connect with anybody.
    assert {file for name in theirs for file in files_with(keeping, name)} <= {"envoy.log"}
    found = wait_for(lambda: stored(keeping, keys()), lambda found: {*before, *meanwhile} <= found.keys())
    assert {*before, *meanwhile} <= found.keys()
    assert set(theirs).isdisjoint(found)


def _as(proxy: Proxy, person: str, n: int) -> str:
    reply = proxy.call("chat", GPT, f"What is {n} + 5?", key=KEEPER, user=person)
    proxy.attempts(reply.request_id)
    return reply.request_id
