"""The OpenAI-compatible server of a replica, under `/replica/NAME`: chat, responses, models, health and metrics."""

from collections.abc import Awaitable, Callable
from uuid import uuid4

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from examples.provider_simulator.answer import Answer, bounded
from examples.provider_simulator.bill import Usage
from examples.provider_simulator.call import Api, Call, Chunk, Reply, Surroundings
from examples.provider_simulator.delivery import Delivery, Meter
from examples.provider_simulator.errors import Provider
from examples.provider_simulator.exchange import Exchange
from examples.provider_simulator.fields import parse_object
from examples.provider_simulator.latency import Latency, latency_of
from examples.provider_simulator.openai_chat import CHAT
from examples.provider_simulator.openai_responses import RESPONSES
from examples.provider_simulator.prices import Catalogue, Model
from examples.provider_simulator.replicas import Replica

_TIER = "strong"
_CONTEXT = 131_072


def routes() -> list[Route]:
    return [
        Route("/replica/{name}/v1/chat/completions", _endpoint(CHAT), methods=["POST"]),
        Route("/replica/{name}/v1/responses", _endpoint(RESPONSES), methods=["POST"]),
        Route("/replica/{name}/v1/models", _models, methods=["GET"]),
        Route("/replica/{name}/version", _version, methods=["GET"]),
        Route("/replica/{name}/health", _health, methods=["GET"]),
        Route("/replica/{name}/metrics", _metrics, methods=["GET"]),
    ]


class _Served(Catalogue):
    """A server that goes by whatever model it is asked for, at no price."""

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}

    def find(self, name: str, provider: Provider, *, embeddings: bool = False) -> Model:
        return Model(name, provider, name, _TIER, _CONTEXT, _CONTEXT, "", 0, 0, {}, 0, {})


_SERVED = _Served()


class _Visit(Exchange):
    """One request to a replica. It asks nobody for a key, and nothing of it is on a bill."""

    def __init__(self, request: Request) -> None:
        super().__init__(request.app.state.sim, request, "openai")
        self.replica: Replica = self.sim.replicas.find(request.path_params["name"])

    def admitted(self, key: str) -> str:
        return self.replica.name

    def surroundings(self) -> Surroundings:
        return Surroundings(self.request.headers, _SERVED, lambda _: [])

    def answered(self, api: Api) -> ASGIApp:
        call = api.parse(parse_object(self.raw), self.surroundings())
        rule = self.fault(call)
        answers = tuple(self._answer(call) for _ in range(call.choices))
        read = self.replica.look_up(call.conversation)
        rest = call.conversation.tokens - read
        usage = Usage(input=rest, cache_read=read, output=sum(answer.tokens for answer in answers))
        shown = not (rule and rule.fault == "no_stream_usage")
        reply = Reply(call, api.id_prefix + uuid4().hex, int(self.started), usage, answers, shown)
        return Delivery(
            api.stream(reply) if call.stream else [Chunk(orjson.dumps(api.whole(reply)))],
            _meter(self.replica, usage.output),
            self.headers,
            self._latency(call, rest),
            uncached_tokens=rest,
            stream=call.stream,
            hang_s=rule.hang_s if rule and rule.fault == "timeout" else 0.0,
            cut_after=rule.cut_after if rule else None,
            in_order=rule is not None and rule.fault == "end_stream",
        )

    def _answer(self, call: Call) -> Answer:
        return bounded(self.sim.mind.answer(call.conversation, call.model), call.max_tokens, call.conversation.stop)

    def _latency(self, call: Call, rest: int) -> Latency:
        scale = self.sim.latency_scale
        output = latency_of(call.model.tier, scale).per_output_s
        return Latency(self.replica.wait_s(rest, self.started, scale), scale / self.replica.tokens_per_s, output)


def _endpoint(api: Api) -> Callable[[Request], Awaitable[ASGIApp]]:
    async def endpoint(request: Request) -> ASGIApp:
        visit = _Visit(request)
        return await visit.respond(lambda _: visit.answered(api))

    return endpoint


def _meter(replica: Replica, output: int) -> Meter:
    replica.running += 1

    def done(tokens: int, reported: bool) -> None:
        replica.running -= 1

    return Meter(output, begin=lambda: None, bill=done)


async def _models(request: Request) -> ASGIApp:
    name = request.path_params["name"]
    row = {"id": name, "object": "model", "owned_by": "vllm", "root": f"/models/{name}", "max_model_len": _CONTEXT}
    return Response(orjson.dumps({"object": "list", "data": [row]}))


async def _version(request: Request) -> ASGIApp:
    return Response(orjson.dumps({"version": "0.23.0"}))


async def _health(request: Request) -> ASGIApp:
    return Response()


async def _metrics(request: Request) -> ASGIApp:
    sim = request.app.state.sim
    replica = sim.replicas.find(request.path_params["name"])
    return Response("".join(replica.metrics(sim.clock.now())), media_type="text/plain; version=0.0.4; charset=utf-8")
