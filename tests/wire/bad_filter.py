"""A filter that sends each request to the lane, and misbehaves as its header `x-misbehave` says. It prints what it got.

`python -m tests.wire.bad_filter HOST:PORT`
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import grpc
from envoy.service.ext_proc.v3.external_processor_pb2 import HeadersResponse, ProcessingRequest, ProcessingResponse
from grpc_health.v1 import health
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from fivelevers.levers.batch.eligibility import Verdict
from fivelevers.proxies.envoy.replies import Phase, pass_reply, verdict_reply
from fivelevers.proxies.envoy.service import SERVICE

BATCH = Verdict("batch", "eligible")
GARBAGE = b"\xff\xfe this is no answer \x00" * 8
WRONG_PHASE = ProcessingResponse(response_headers=HeadersResponse()).SerializeToString()


async def misbehave(how: str, phase: Phase, context: Any) -> bool:
    """Whether the stream is over."""
    answer = verdict_reply(phase, BATCH)
    if how == "hang":
        await asyncio.sleep(60)
    elif how == "crash":
        os._exit(1)
    elif how == "error":
        await context.abort(grpc.StatusCode.INTERNAL, "broken")
    elif how == "return":
        return True
    elif how == "slow":
        await asyncio.sleep(1.0)
        await context.write(answer)
    else:
        answers = {
            "": [answer], "garbage": [GARBAGE], "empty": [b""], "wrong-phase": [WRONG_PHASE], "twice": [answer, answer],
            "verdict-then-error": [answer],
        }  # fmt: skip
        for each in answers[how]:
            await context.write(each)
        if how == "verdict-then-error":
            await context.abort(grpc.StatusCode.INTERNAL, "broken")
    return how != "twice"


async def process(_: Any, context: Any) -> None:
    how = at = ""
    while (message := await context.read()) is not grpc.aio.EOF:
        phase = Phase(message.WhichOneof("request"))
        sys.stdout.write(f"{message}\n".replace("\n", " ") + "\n")
        sys.stdout.flush()
        for header in message.request_headers.headers.headers if phase is Phase.REQUEST_HEADERS else ():
            if header.key == "x-misbehave":
                how, _, at = header.raw_value.decode().partition("@")
        if at and at != phase.value:
            await context.write(pass_reply(phase))
        elif await misbehave(how, phase, context):
            return


async def main(listen: str) -> None:
    server = grpc.aio.server()
    checks = health.aio.HealthServicer()
    await checks.set("", HealthCheckResponse.SERVING)
    add_HealthServicer_to_server(checks, server)
    method = grpc.stream_stream_rpc_method_handler(process, ProcessingRequest.FromString, bytes)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Process": method}),))
    server.add_insecure_port(listen)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
