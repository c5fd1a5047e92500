"""What the filter answers Envoy, as bytes: there are few such answers, and each is made once."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.service.ext_proc.v3.external_processor_pb2 import (
    BodyResponse,
    CommonResponse,
    HeaderMutation,
    HeadersResponse,
    ProcessingResponse,
    TrailersResponse,
)
from google.protobuf.struct_pb2 import Struct

from fivelevers.lane.contract import LANE_HEADER
from fivelevers.levers.batch.eligibility import Verdict

NAMESPACE = "fivelevers"
"""Of the dynamic metadata with the verdict: Envoy's access log and its answers' headers take it from there."""


class Phase(Enum):
    """What Envoy asks about, by its field of the message; others are asked about by a wrong configuration alone."""

    REQUEST_HEADERS = "request_headers"
    REQUEST_BODY = "request_body"
    REQUEST_TRAILERS = "request_trailers"
    RESPONSE_HEADERS = "response_headers"
    RESPONSE_BODY = "response_body"
    RESPONSE_TRAILERS = "response_trailers"


@lru_cache(maxsize=256)  # phases times the words of eligibility
def verdict_reply(phase: Phase, verdict: Verdict) -> bytes:
    """The request goes on, live or to the lane: then Envoy chooses its route anew, by the lane's header."""
    common = CommonResponse(status=CommonResponse.CONTINUE)
    if verdict.lane == "batch":
        header = HeaderValue(key=LANE_HEADER, raw_value=b"batch")
        action = HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
        option = HeaderValueOption(header=header, append_action=action)
        common.header_mutation.CopyFrom(HeaderMutation(set_headers=[option]))
        common.clear_route_cache = True
    reply = _reply(phase, common)
    said = Struct()
    said.get_or_create_struct(NAMESPACE).update({"lane": f"{verdict.lane}; why={verdict.why}"})
    reply.dynamic_metadata.CopyFrom(said)
    return bytes(reply.SerializeToString(deterministic=True))


@lru_cache(maxsize=len(Phase))
def pass_reply(phase: Phase) -> bytes:
    """Go on; nothing is said of the request yet, or nothing more."""
    return bytes(_reply(phase, CommonResponse(status=CommonResponse.CONTINUE)).SerializeToString())


def _reply(phase: Phase, common: CommonResponse) -> ProcessingResponse:
    if phase in (Phase.REQUEST_HEADERS, Phase.RESPONSE_HEADERS):
        return ProcessingResponse(**{phase.value: HeadersResponse(response=common)})
    if phase in (Phase.REQUEST_BODY, Phase.RESPONSE_BODY):
        return ProcessingResponse(**{phase.value: BodyResponse(response=common)})
    return ProcessingResponse(**{phase.value: TrailersResponse()})
