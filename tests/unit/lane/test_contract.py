"""What callers say of their waiting, as RFC 7240, the SDKs and our own headers have it."""

from typing import Any

import anthropic
import httpx
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.lane.contract import LONGEST_KEY, Wish, asked_of, duration_s, fingerprint, preferences, wish_of

TOKEN = st.text(alphabet="abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12)
ANY_TEXT = st.text(max_size=60)


@pytest.mark.parametrize(
    ("values", "means"),
    [
        (["respond-async"], {"respond-async": ""}),
        (["respond-async, wait=100"], {"respond-async": "", "wait": "100"}),
        (["respond-async", "wait=100"], {"respond-async": "", "wait": "100"}),
        (['foo; bar="a, wait=1", wait=7'], {"foo": "", "wait": "7"}),
        (['Wait="30"'], {"wait": "30"}),
        (["wait = 5 , Respond-Async"], {"wait": "5", "respond-async": ""}),
        (['lenient; note="say \\"hi\\""'], {"lenient": ""}),
        (['handling="a\\"b"'], {"handling": 'a"b'}),
        (["wait=1", "wait=2"], {"wait": "1"}),  # the first one counts
        (['foo="never closed, wait=3'], {"foo": "", "never": "", "wait": "3"}),
        ([",, ,wait=4"], {"wait": "4"}),
        ([""], {}),
    ],
)
def test_preferences_are_read_as_the_rfc_writes_them(values: list[str], means: dict[str, str]) -> None:
    assert preferences(values) == means


@given(st.dictionaries(TOKEN, st.text(alphabet='abc ,;="\\', max_size=8), max_size=5))
def test_what_is_written_by_the_rules_is_read_back(wanted: dict[str, str]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    line = ", ".join(f"{name}={quoted(value)}" for name, value in wanted.items())
    assert preferences([line]) == wanted
    assert preferences([f"{name}={quoted(value)}" for name, value in wanted.items()]) == wanted


@given(st.lists(st.tuples(st.sampled_from(["prefer", "idempotency-key", "x-fivelevers-deadline"]), ANY_TEXT)))
def test_nothing_that_a_client_writes_raises(headers: list[tuple[str, str]]) -> None:
    wish = wish_of([*headers, *((f"x-stainless-{name}", value) for name, (_, value) in zip(
        ("timeout", "read-timeout", "retry-count"), headers, strict=False))])  # fmt: skip
    assert wish.deadline_s is None or wish.deadline_s > 0
    assert wish.idempotency_key is None or 0 < len(wish.idempotency_key) <= LONGEST_KEY


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("14400", 14_400), ("4h", 14_400), ("90m", 5400), ("0.5d", 43_200), (" 30 S ", 30), ("-1", None), ("4 w", None),
     ("0", None), ("", None), ("1e3", None), ("nan", None), ("٣", 3)],
)  # fmt: skip
def test_a_deadline_is_seconds_or_has_a_unit(text: str, seconds: float | None) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "key"), [("abc", "abc"), ('"a\\"b"', 'a"b'), ('"', '"'), ("", None), ('""', None), ("k" * 256, None)]
)
def test_an_idempotency_key_is_a_structured_string_or_bare(text: str, key: str | None) -> None:
    assert wish_of([("idempotency-key", text)]).idempotency_key == key


def sent_by_openai(**options: Any) -> Wish:
    """What the SDK itself sends."""
    seen: list[httpx.Request] = []

    def record(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(500 if len(seen) == 1 else 200, json={"id": "c", "choices": [], "object": "x"})

    transport = httpx.MockTransport(record)
    with openai.OpenAI(api_key="k", http_client=httpx.Client(transport=transport), **options) as client:
        client.chat.completions.create(model="m", messages=[])
    first, again = (wish_of([(k.lower(), v) for k, v in request.headers.items()]) for request in seen)
    assert (first.retry, again.retry) == (False, True)
    return first


def test_the_sdk_of_openai_says_how_long_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.001)
    assert sent_by_openai().held_s == 600
    assert sent_by_openai(timeout=4 * 3600).held_s == 14_400
    assert sent_by_openai(timeout=httpx.Timeout(10, read=7200)).held_s == 7200


def test_the_sdk_of_anthropic_says_how_long_it_waits() -> None:
    def waits(timeout: Any) -> float | None:
        seen: list[httpx2.Request] = []

        def record(request: httpx2.Request) -> httpx2.Response:
            seen.append(request)
            return httpx2.Response(200, json={"id": "m", "type": "message", "content": [], "role": "assistant"})

        client = anthropic.Anthropic(
            api_key="k",
            timeout=timeout,
            http_client=httpx2.Client(transport=httpx2.MockTransport(record)),
        )
        with client:
            client.messages.create(model="m", max_tokens=1, messages=[])
        return wish_of([(k.lower(), v) for k, v in seen[0].headers.items()]).held_s

    assert waits(5400) == 5400
    assert waits(None) is None  # it sends NOT_GIVEN then, and the SDK of OpenAI nothing


def test_who_prefers_a_wait_does_not_wait_for_as_long_as_its_sdk_would() -> None:
    both = [("prefer", "respond-async, wait=20"), ("x-stainless-read-timeout", "600.0")]
    assert wish_of(both) == Wish(respond_async=True, wait_s=20, sdk_wait_s=600)
    assert wish_of(both).held_s == 20


def test_the_rules_of_eligibility_are_asked_with_what_was_said() -> None:
    wish = Wish(deadline_s=7200, sdk_wait_s=14_400)
    asked = asked_of("/v1/responses", wish, {"background": True, "stream": False, "service_tier": "batch"}, u=0.5)
    assert (asked.deadline_s, asked.wait_s, asked.background, asked.stream, asked.u) == (7200, 14_400, True, False, 0.5)
    assert asked.service_tier == "batch"
    unseen = asked_of("/v1/responses", wish)
    assert (unseen.stream, unseen.background, unseen.service_tier) == (None, None, None)


@given(st.dictionaries(ANY_TEXT, ANY_TEXT), ANY_TEXT, ANY_TEXT)
def test_the_same_has_one_fingerprint_and_each_part_tells(body: dict[str, str], tenant: str, route: str) -> None:
    shuffled = dict(reversed(body.items()))
    assert fingerprint(tenant, route, body) == fingerprint(tenant, route, shuffled)
    assert fingerprint(tenant + "x", route, body) != fingerprint(tenant, "x" + route, body)
    assert fingerprint(tenant, route, body) != fingerprint(tenant, route, {**body, "more than there was": "1"})
