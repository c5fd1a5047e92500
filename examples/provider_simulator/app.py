"""The ASGI application: the providers' paths, and the simulator's own under /sim."""

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp

from examples.provider_simulator import (
    anthropic_batches,
    control,
    exchange,
    openai_batches,
    openai_files,
    replica_server,
)
from examples.provider_simulator.anthropic_messages import MESSAGES
from examples.provider_simulator.errors import ApiError, Provider
from examples.provider_simulator.exchange import Exchange
from examples.provider_simulator.openai_chat import CHAT
from examples.provider_simulator.openai_files import Upload
from examples.provider_simulator.openai_responses import RESPONSES
from examples.provider_simulator.simulator import Simulator

Serve = Callable[[Exchange], ASGIApp]
Endpoint = Callable[[Request], Awaitable[ASGIApp]]


def create_app(sim: Simulator) -> Starlette:
    app = Starlette(routes=[*_provider_routes(), *replica_server.routes(), *_control_routes()])
    app.state.sim = sim
    return app


def _provider_routes() -> list[Route]:
    return [
        Route("/v1/chat/completions", _endpoint("openai", partial(exchange.generate, CHAT)), methods=["POST"]),
        Route("/v1/responses", _endpoint("openai", partial(exchange.generate, RESPONSES)), methods=["POST"]),
        Route("/v1/responses/{id}", _endpoint("openai", exchange.stored_response), methods=["GET"]),
        Route("/v1/embeddings", _endpoint("openai", exchange.embeddings), methods=["POST"]),
        Route("/v1/messages", _endpoint("anthropic", partial(exchange.generate, MESSAGES)), methods=["POST"]),
        *_anthropic_batch_routes(),
        Route("/v1/messages/count_tokens", _endpoint("anthropic", exchange.count_tokens), methods=["POST"]),
        *_openai_batch_routes(),
        Route("/v1/models", _models, methods=["GET"]),
        Route("/v1/models/{id}", _models, methods=["GET"]),
        Route("/v1/{path:path}", _endpoint("openai", _unknown), methods=["GET", "POST", "DELETE"]),
    ]


def _openai_batch_routes() -> list[Route]:
    files, batches = openai_files, openai_batches
    return [
        Route("/v1/files", _endpoint("openai", files.create, Upload), methods=["POST"]),
        Route("/v1/files", _endpoint("openai", files.index), methods=["GET"]),
        Route("/v1/files/{id}", _endpoint("openai", files.retrieve), methods=["GET"]),
        Route("/v1/files/{id}", _endpoint("openai", files.delete), methods=["DELETE"]),
        Route("/v1/files/{id}/content", _endpoint("openai", files.content), methods=["GET"]),
        Route("/v1/batches", _endpoint("openai", batches.create), methods=["POST"]),
        Route("/v1/batches", _endpoint("openai", batches.index), methods=["GET"]),
        Route("/v1/batches/{id}", _endpoint("openai", batches.retrieve), methods=["GET"]),
        Route("/v1/batches/{id}/cancel", _endpoint("openai", batches.cancel), methods=["POST"]),
    ]


def _anthropic_batch_routes() -> list[Route]:
    batches, one = anthropic_batches, "/v1/messages/batches/{id}"
    return [
        Route("/v1/messages/batches", _endpoint("anthropic", batches.create, batches.Submission), methods=["POST"]),
        Route("/v1/messages/batches", _endpoint("anthropic", batches.index), methods=["GET"]),
        Route(one, _endpoint("anthropic", batches.retrieve), methods=["GET"]),
        Route(one, _endpoint("anthropic", batches.delete), methods=["DELETE"]),
        Route(f"{one}/cancel", _endpoint("anthropic", batches.cancel), methods=["POST"]),
        Route(f"{one}/results", _endpoint("anthropic", batches.results), methods=["GET"]),
    ]


def _control_routes() -> list[Route]:
    return [
        Route("/sim/health", control.health),
        Route("/sim/bill", control.bill),
        Route("/sim/batches", control.batches, methods=["GET", "POST"]),
        Route("/sim/requests", control.requests),
        Route("/sim/clock", control.clock, methods=["POST"]),
        Route("/sim/faults", control.faults, methods=["GET", "POST", "DELETE"]),
        Route("/sim/reset", control.reset, methods=["POST"]),
        Route("/sim/prices", control.prices),
    ]


def _endpoint(provider: Provider, serve: Serve, kind: type[Exchange] = Exchange) -> Endpoint:
    async def endpoint(request: Request) -> ASGIApp:
        return await kind(request.app.state.sim, request, provider).respond(serve)

    return endpoint


async def _models(request: Request) -> ASGIApp:
    """Both providers list at the same path; `anthropic-version` says who asks."""
    provider: Provider = "anthropic" if "anthropic-version" in request.headers else "openai"
    return await Exchange(request.app.state.sim, request, provider).respond(_list_models)


def _list_models(ex: Exchange) -> ASGIApp:
    known = ex.sim.catalogue.models.values()
    rows = [_row(model.name, ex.provider) for model in known if model.provider == ex.provider]
    wanted = ex.request.path_params.get("id")
    if wanted:
        row = next((row for row in rows if row["id"] == wanted), None)
        if row is None:
            raise ApiError(404, f"The model '{wanted}' does not exist", param="model", code="model_not_found")
        return ex.json(row)
    if ex.provider == "anthropic":
        return ex.json({"data": rows, "has_more": False, "first_id": rows[0]["id"], "last_id": rows[-1]["id"]})
    return ex.json({"object": "list", "data": rows})


def _row(name: str, provider: Provider) -> dict[str, object]:
    if provider == "anthropic":
        return {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
    return {"id": name, "object": "model", "created": 1767225600, "owned_by": "openai"}


def _unknown(ex: Exchange) -> ASGIApp:
    raise ApiError(404, f"Unknown request URL: {ex.request.method} {ex.request.url.path}", code="unknown_url")
