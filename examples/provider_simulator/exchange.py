"""One request from first byte to bill: key, body, model, faults, answer, cache, delivery."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from examples.provider_simulator import anthropic_messages, generation, openai_embeddings
from examples.provider_simulator.bill import Entry
from examples.provider_simulator.cache_store import CacheUse
from examples.provider_simulator.call import Api, Call, Chunk, Surroundings
from examples.provider_simulator.delivery import Delivery, Meter
from examples.provider_simulator.errors import ApiError, Provider
from examples.provider_simulator.faults import Rule, Target, raise_error
from examples.provider_simulator.fields import parse_object
from examples.provider_simulator.latency import latency_of
from examples.provider_simulator.simulator import Simulator


class Exchange:
    """A request in progress."""

    max_body_bytes = 32 * 1024 * 1024

    def __init__(self, sim: Simulator, request: Request, provider: Provider) -> None:
        self.sim = sim
        self.request = request
        self.provider = provider
        self.request_id = f"req_{uuid4().hex}"
        self.started = sim.clock.now()
        self.workspace = ""
        self.raw = b""

    async def respond(self, serve: Callable[["Exchange"], ASGIApp]) -> ASGIApp:
        """Read and record the request, let `serve` answer it, and put errors into the provider's words."""
        try:
            self.raw = await self.read()
            self.sim.recorder.record(self.request, self.raw, self.started)
            self.workspace = self.admitted(_key(self.request))
            self._check_size()
            return serve(self)
        except ClientDisconnect:
            return Response(status_code=499)
        except ApiError as error:
            headers = self.headers | ({"retry-after": str(error.retry_after_s)} if error.retry_after_s else {})
            return self.json(error.body(self.provider, self.request_id), error.status, headers)

    async def read(self) -> bytes:
        """The body, as it is recorded and parsed."""
        return await self.request.body()

    def admitted(self, key: str) -> str:
        """Whose request it is."""
        return self.sim.workspace(key)

    @property
    def headers(self) -> dict[str, str]:
        if self.provider == "anthropic":
            return {"request-id": self.request_id}
        return {"x-request-id": self.request_id, "openai-version": "2020-10-01"}

    def json(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        return Response(orjson.dumps(body), status, headers or self.headers, "application/json")

    def surroundings(self) -> Surroundings:
        earlier = partial(self.sim.responses.items, self.workspace)
        return Surroundings(self.request.headers, self.sim.catalogue, earlier)

    def fault(self, call: Call) -> Rule | None:
        """The rule that hits this request; an error rule raises."""
        text = self.raw.decode("utf-8", "replace")
        rule = self.sim.faults.draw(Target(call.model.name, call.api, self.workspace, call.stream, text))
        if rule:
            raise_error(rule, self.provider)
        return rule

    def _check_size(self) -> None:
        if len(self.raw) > self.max_body_bytes:
            raise ApiError(413, f"Request exceeds the maximum size of {self.max_body_bytes} bytes")

    def meter(self, call: Call, used: CacheUse, reply_id: str, output: int) -> Meter:
        return Meter(
            output,
            begin=lambda: self.sim.cache.put(used.entries),
            bill=lambda tokens, reported: self.sim.bill.add(
                Entry(
                    id=reply_id,
                    request_id=self.request_id,
                    at=self.started,
                    key=self.workspace,
                    model=call.model,
                    api=call.api,
                    stream=call.stream,
                    usage=generation.usage_of(call, used, tokens),
                    usage_reported=reported,
                )
            ),
        )

    def deliver(
        self, call: Call, chunks: Iterable[Chunk], meter: Meter, rule: Rule | None, uncached_tokens: int
    ) -> Delivery:
        return Delivery(
            chunks,
            meter,
            self.headers,
            latency_of(call.model.tier, self.sim.latency_scale),
            uncached_tokens=uncached_tokens,
            stream=call.stream,
            hang_s=rule.hang_s if rule and rule.fault == "timeout" else 0.0,
            cut_after=rule.cut_after if rule else None,
            in_order=rule is not None and rule.fault == "end_stream",
        )


def generate(api: Api, exchange: Exchange) -> ASGIApp:
    """Chat, Responses and Messages."""
    call = api.parse(parse_object(exchange.raw), exchange.surroundings())
    rule = exchange.fault(call)
    shown = not (rule and rule.fault == "no_stream_usage")
    call = replace(call, mistaken=rule is not None and rule.fault == "wrong")
    made = generation.generate(exchange.sim, api, call, exchange.workspace, exchange.started, show_usage=shown)
    reply, usage = made.reply, made.reply.usage
    chunks = api.stream(reply) if call.stream else [Chunk(orjson.dumps(made.body))]
    meter = exchange.meter(call, made.used, reply.id, usage.output)
    return exchange.deliver(call, chunks, meter, rule, usage.all_input - usage.cache_read)


def embeddings(exchange: Exchange) -> ASGIApp:
    call = openai_embeddings.parse(parse_object(exchange.raw), exchange.surroundings())
    rule = exchange.fault(call)
    tokens = call.conversation.tokens
    body = Chunk(orjson.dumps(openai_embeddings.whole(call, tokens)))
    return exchange.deliver(call, [body], exchange.meter(call, CacheUse(), exchange.request_id, 0), rule, tokens)


def count_tokens(exchange: Exchange) -> ASGIApp:
    call = anthropic_messages.parse_prompt(parse_object(exchange.raw), exchange.surroundings())
    return exchange.json({"input_tokens": call.conversation.tokens})


def stored_response(exchange: Exchange) -> ASGIApp:
    return exchange.json(exchange.sim.responses.get(exchange.workspace, exchange.request.path_params["id"]))


def _key(request: Request) -> str:
    bearer = request.headers.get("authorization", "")
    return request.headers.get("x-api-key") or (bearer[7:] if bearer[:7].lower() == "bearer " else "")
