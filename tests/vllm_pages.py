"""A server with the pages of vLLM that a gate looks at, as vLLM 0.32 was seen to answer them; its answers are numbers.

    python -m tests.vllm_pages PORT '{"root": "llama-bf16", "wrong": 0.1, ...}'

Of a prompt "Item N" the right answer is N. ``wrong`` is the share that it gets wrong, by a hash with ``seed``;
``dies_after`` so many answers it kills itself, as an accelerator's fault does. ``more`` tokens in each prompt: another
chat template. ``refuses``: the status with which it answers all questions. Unless it ``reads``, no prompt's
probabilities are told.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from math import log
from typing import Any
from zlib import crc32

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


@dataclass
class Served:
    root: str | None = "llama-bf16"
    model: str = "llama"
    version: str = "0.32.0"
    quantization: str | None = None
    development: bool = True
    wrong: float = 0.0
    seed: int = 0
    dies_after: int = 10**9
    more: int = 0
    shift: int = 0  # of token ids: another tokenizer
    doubt: float = 0.0  # how much less likely it finds each token, in nats
    tokenizes: bool = True
    refuses: int = 0  # the status of every answer
    reads: bool = True
    started: str = field(default_factory=lambda: f"{1.7e9 + os.getpid():.2f}")
    answered: int = 0


SERVED = Served()


def _tokens(text: str) -> list[int]:
    return [crc32(word.encode()) % 50_000 + 100 + SERVED.shift for word in re.findall(r"\s+|\S+", text)]


def _whole(body: dict[str, Any]) -> str:
    return "".join(f"<{one['role']}>{one['content']}" for one in body["messages"])


async def models(_: Request) -> Response:
    return JSONResponse({"data": [{"id": SERVED.model, "root": SERVED.root, "max_model_len": 2048}]})


async def version(_: Request) -> Response:
    return JSONResponse({"version": SERVED.version})


async def info(_: Request) -> Response:
    if not SERVED.development:
        return PlainTextResponse("Not Found", status_code=404)
    return JSONResponse({"vllm_config": {"model_config": {"quantization": SERVED.quantization}}})


async def metrics(_: Request) -> Response:
    prefixes = 'vllm:cache_config_info{block_size="128",enable_prefix_caching="True"} 1.0'
    return PlainTextResponse(f"process_start_time_seconds {SERVED.started}\n{prefixes}\n")


async def tokenize(request: Request) -> Response:
    if not SERVED.tokenizes:
        return PlainTextResponse("Not Found", status_code=404)
    body = await request.json()
    return JSONResponse({"tokens": _tokens(_whole(body) if "messages" in body else body["prompt"])})


async def chat(request: Request) -> Response:
    body = await request.json()
    SERVED.answered += 1
    if SERVED.answered > SERVED.dies_after:
        os.kill(os.getpid(), signal.SIGKILL)
    prompt = str(body["messages"][-1]["content"])
    if SERVED.refuses:
        return JSONResponse({"error": {"message": "no such page"}}, status_code=SERVED.refuses)
    if "too long" in prompt:
        return JSONResponse({"error": {"message": "the prompt is longer than the context"}}, status_code=400)
    number = re.findall(r"\d+", prompt)[-1]
    drawn = int(sha256(f"{SERVED.seed} {number}".encode()).hexdigest()[:8], 16) / 2**32
    text = f"{number}0" if drawn < SERVED.wrong else number
    usage = {"prompt_tokens": len(_tokens(_whole(body))) + SERVED.more, "completion_tokens": 1}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return JSONResponse({"model": SERVED.model, "choices": [choice], "usage": usage})


async def completions(request: Request) -> Response:
    if not SERVED.reads:
        return JSONResponse({"error": {"message": "out of memory"}}, status_code=500)
    tokens = (await request.json())["prompt"]
    likely = log(0.9) - SERVED.doubt
    spoken = [None, *({str(one): {"logprob": likely}, "99": {"logprob": log(0.05)}} for one in tokens[1:])]
    return JSONResponse({"choices": [{"text": "", "prompt_logprobs": spoken}]})


app = Starlette(
    routes=[
        Route("/v1/models", models),
        Route("/version", version),
        Route("/server_info", info),
        Route("/metrics", metrics),
        Route("/tokenize", tokenize, methods=["POST"]),
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/completions", completions, methods=["POST"]),
    ]
)


if __name__ == "__main__":
    SERVED = Served(**json.loads(sys.argv[2]))
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
