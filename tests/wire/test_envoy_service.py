"""Whatever Envoy sends, each message is answered in its own phase; what is not understood goes live."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from envoy.config.core.v3.base_pb2 import HeaderMap, HeaderValue
from envoy.extensions.filters.http.ext_proc.v3.processing_mode_pb2 import ProcessingMode
from envoy.service.ext_proc.v3.external_processor_pb2 import (
    HttpBody,
    HttpHeaders,
    HttpTrailers,
    ProcessingRequest,
    ProcessingResponse,
    ProtocolConfiguration,
)
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from fivelevers import metrics
from fivelevers.policy import parse
from fivelevers.proxies.envoy.deciding import InForce
from fivelevers.proxies.envoy.replies import Phase
from fivelevers.proxies.envoy.service import MAX_BODY_BYTES, Stream

POLICY = parse("routes: [{name: a, match: {model: a}, levers: {batch: {mode: on, inspect: body}}}]")
ASKED = {"model": "a", "background": True}


def force() -> InForce:
    return InForce(POLICY)


def broken() -> InForce:
    raise RuntimeError("a bug")


def headers(
    pairs: list[tuple[str, bytes]], *, end: bool = False, mode: int = ProcessingMode.BUFFERED, route: str = ""
) -> ProcessingRequest:
    values = HeaderMap(headers=[HeaderValue(key=name, raw_value=value) for name, value in pairs])
    attributes: dict[str, Any] = {"envoy.filters.http.ext_proc": Struct()} if route else {}
    for struct in attributes.values():
        struct.update({"xds.route_metadata": route})
    return ProcessingRequest(
        request_headers=HttpHeaders(headers=values, end_of_stream=end),
        protocol_config=ProtocolConfiguration(request_body_mode=mode),
        attributes=attributes,
    )


def body(content: bytes, *, end: bool = True) -> ProcessingRequest:
    return ProcessingRequest(request_body=HttpBody(body=content, end_of_stream=end))


REQUEST = [(":path", b"/v1/chat/completions?x=1"), (":method", b"POST")]
names = st.text(st.characters(codec="ascii"), max_size=12) | st.sampled_from(["prefer", ":path", "x-fivelevers-skip"])
values = st.binary(max_size=12) | st.sampled_from([b"respond-async", b"/v1/chat/completions", b"all"])
messages = st.one_of(
    st.builds(headers, st.lists(st.tuples(names, values), max_size=4), end=st.booleans(), mode=st.integers(0, 4)),
    st.builds(body, st.binary(max_size=40) | st.just(orjson.dumps(ASKED)), end=st.booleans()),
    st.sampled_from(
        [
            ProcessingRequest(response_headers=HttpHeaders()),
            ProcessingRequest(response_body=HttpBody(body=b"x")),
            ProcessingRequest(request_trailers=HttpTrailers()),
            ProcessingRequest(response_trailers=HttpTrailers()),
        ]
    ),
)


def said(reply: bytes) -> str:
    read = ProcessingResponse.FromString(reply)
    return str(read.dynamic_metadata["fivelevers"]["lane"]) if "fivelevers" in read.dynamic_metadata else ""


@given(st.lists(messages, min_size=1, max_size=5))
def test_every_message_is_answered_in_its_phase(sent: list[ProcessingRequest]) -> None:
    stream = Stream(force)
    for message in sent:
        reply = ProcessingResponse.FromString(stream.answer(message))
        assert reply.WhichOneof("response") == message.WhichOneof("request")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (orjson.dumps(ASKED), "batch; why=eligible"),
        (b"", "live; why=body"),
        (b"[]", "live; why=body"),
        (b'{"model": 3}', "live; why=off"),
        (b'{"model": "a", "pad": "' + b"x" * MAX_BODY_BYTES + b'"}', "live; why=too-large"),
    ],
)
def test_a_body_decides_once(content: bytes, expected: str) -> None:
    stream = Stream(force)
    assert said(stream.answer(headers(REQUEST))) == ""
    assert said(stream.answer(body(content))) == expected
    assert said(stream.answer(body(content))) == ""


def test_a_request_without_a_body_is_decided_by_its_headers() -> None:
    opted = [*REQUEST, ("prefer", b"respond-async")]
    assert said(Stream(force).answer(headers(opted, end=True))) == "batch; why=eligible"
    assert said(Stream(force).answer(headers(opted, mode=ProcessingMode.NONE))) == "batch; why=eligible"
    assert said(Stream(force).answer(headers(opted, mode=ProcessingMode.NONE, route="a"))) == "batch; why=eligible"
    assert said(Stream(force).answer(headers(opted, route="gone"))) == "live; why=no-route"


def test_a_fault_of_ours_goes_live_and_is_counted() -> None:
    counted = metrics.bypass.labels("batch", "filter")
    before = counted._value.get()
    assert said(Stream(broken).answer(headers(REQUEST))) == "live; why=filter-error"
    assert counted._value.get() == before + 1


def test_a_message_that_asks_nothing_ends_the_stream_with_an_error() -> None:
    with pytest.raises(ValueError, match="None is not a valid Phase"):
        Stream(force).answer(ProcessingRequest())


def test_phases_are_those_of_the_protocol() -> None:
    assert {phase.value for phase in Phase} == {each.name for each in ProcessingRequest.DESCRIPTOR.oneofs[0].fields}
