"""Envoy's external processor for lever 3: it says "batch" or "live" of each request, and holds nothing.

Every stream ends with an answer; whatever goes wrong here lets the request go live, once, at full price. Protocol:
envoy/service/ext_proc/v3/external_processor.proto.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
import orjson
from envoy.extensions.filters.http.ext_proc.v3.processing_mode_pb2 import ProcessingMode
from envoy.service.ext_proc.v3.external_processor_pb2 import ProcessingRequest

from fivelevers import metrics
from fivelevers.levers.batch.eligibility import Verdict
from fivelevers.proxies.envoy.deciding import LEVER, Decided, InForce, Seen, decide_seen, wants_body
from fivelevers.proxies.envoy.replies import Phase, pass_reply, verdict_reply

SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
MAX_BODY_BYTES = 8 << 20
"""Of a body that is looked into; Envoy's route shall send none that is longer."""

_FILTER = "envoy.filters.http.ext_proc"
_BROKEN = Verdict("live", "filter-error")


class Processor:
    """``force`` gives what holds now: it is asked once for each request and must not wait."""

    def __init__(self, force: Callable[[], InForce]) -> None:
        self._force = force

    @property
    def handler(self) -> grpc.GenericRpcHandler:
        """The service, for a server of grpc.aio. Answers are bytes already."""
        method = grpc.stream_stream_rpc_method_handler(self._process, ProcessingRequest.FromString, bytes)
        return grpc.method_handlers_generic_handler(SERVICE, {"Process": method})

    async def _process(self, _: Any, context: Any) -> None:
        """One request. Read and write by hand: an asynchronous generator costs a fifth more."""
        stream = Stream(self._force)
        while (message := await context.read()) is not grpc.aio.EOF:
            await context.write(stream.answer(message))


class Stream:
    """What is known of one request between its phases."""

    def __init__(self, force: Callable[[], InForce]) -> None:
        self._force = force
        self._waiting: Seen | None = None  # for its body

    def answer(self, message: Any) -> bytes:
        """The reply to a message. Raises ValueError on one that asks nothing, which ends the stream with an error."""
        phase = Phase(message.WhichOneof("request"))
        try:
            if phase is Phase.REQUEST_HEADERS:
                return self._headers(message)
            if phase is Phase.REQUEST_BODY and self._waiting is not None:
                return self._body(message.request_body, self._waiting)
        except Exception as error:
            metrics.count_bypass(LEVER, "filter", error)
            return verdict_reply(phase, _BROKEN)
        return pass_reply(phase)

    def _headers(self, message: Any) -> bytes:
        seen, force = _seen(message), self._force()
        comes = not message.request_headers.end_of_stream
        wanted = comes and wants_body(seen, force)
        if wanted and message.protocol_config.request_body_mode == ProcessingMode.BUFFERED:
            self._waiting = seen
            return pass_reply(Phase.REQUEST_HEADERS)
        if wanted and seen.route:
            error = ValueError(f"route {seen.route} says `inspect: body`, and Envoy's route sends no bodies (BUFFERED)")
            metrics.count_bypass(LEVER, "inspect", error)
        return self._decided(Phase.REQUEST_HEADERS, seen, force)

    def _body(self, part: Any, seen: Seen) -> bytes:
        self._waiting = None
        whole = part.end_of_stream and len(part.body) <= MAX_BODY_BYTES
        body = _json_object(part.body) if whole else None
        if body is None:
            return _counted(Phase.REQUEST_BODY, Decided(Verdict("live", "body" if whole else "too-large"), seen.route))
        return self._decided(Phase.REQUEST_BODY, Seen(seen.path, seen.headers, seen.route, body), self._force())

    @staticmethod
    def _decided(phase: Phase, seen: Seen, force: InForce) -> bytes:
        started = time.perf_counter()
        decided = decide_seen(seen, force)
        metrics.time_decision(decided.route, time.perf_counter() - started)
        return _counted(phase, decided)


def _counted(phase: Phase, decided: Decided) -> bytes:
    metrics.count_lane(decided.verdict.lane, decided.verdict.why)
    return verdict_reply(phase, decided.verdict)


def _seen(message: Any) -> Seen:
    pairs = tuple(
        (header.key, header.raw_value.decode("latin-1") or header.value)
        for header in message.request_headers.headers.headers
    )
    path = next((value for name, value in pairs if name == ":path"), "")
    return Seen(path.partition("?")[0], pairs, _named_route(message.attributes))


def _named_route(attributes: Any) -> str:
    """The one attribute that Envoy is configured to send; it sends none where its route names none."""
    if _FILTER not in attributes:
        return ""
    return next((value.string_value for value in attributes[_FILTER].fields.values()), "")


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return read if isinstance(read, dict) else None
