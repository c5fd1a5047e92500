"""Lever 1 end to end: real proxy, simulated provider, the same traffic with the lever off and on, two bills.

    python -m benchmarks.prompt_cache_proxy --json OUT [--sessions 6] [--workers 2] [--quick]

A coding agent, a support desk (a system prompt of 2,000 tokens and 5,000 of context) and questions on retrieved pages
go through one proxy with two workers, on three APIs, streamed and not, to a provider that charges marks (Anthropic) and
one that charges breakpoints (OpenAI from 5.6 on). Each request is sent twice, to an alias with the lever off and to one
with it on, which are two workspaces of the provider: two bills. What is held against their difference: what the ledger
says was saved, and what the same decision code predicts from the requests alone.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import yaml
from rich.progress import track

from benchmarks.rig.machine import about
from benchmarks.rig.proxies import KEYS, ROOT
from fivelevers.embedded.stack import Stack
from fivelevers.levers.prompt_cache.marks import Dialect, places
from fivelevers.levers.prompt_cache.prefix import prefix_of
from fivelevers.levers.prompt_cache.replay import Replay
from fivelevers.levers.prompt_cache.terms import Style
from fivelevers.prices import Kind, PriceBook, find_litellm_map
from fivelevers.providers.cache_rules import TermBook
from fivelevers.request import Api, SegmentKind, parse

TARGET = 0.02
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
PROVIDERS = {"claude": ("anthropic", "claude-sonnet-4-5"), "gpt": ("openai", "gpt-5.6")}
WORKLOADS = ("agent", "support", "rag")
WORDS = ("parcel", "depot", "invoice", "ledger", "route", "window", "driver", "customs", "label", "scale", "permit")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of a session, in no API's shape. ``turns``: user, assistant, user ..., each in blocks of text."""

    workload: str
    system: str
    turns: tuple[tuple[str, ...], ...]


def text(rng: random.Random, tokens: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(tokens))


def session(workload: str, number: int, seed: int) -> list[Ask]:
    rng, shared = random.Random(f"{seed} {workload} {number}"), random.Random(f"{seed} {workload}")
    if workload == "agent":
        system, turns, asks = text(shared, 1800), [(text(rng, 300),)], []
        for _ in range(8):
            asks.append(Ask(workload, system, tuple(turns)))
            turns += [(text(rng, 150),), (text(rng, rng.randrange(100, 900)),)]
        return asks
    if workload == "support":
        system = text(shared, 2000) + "\n\n" + text(shared, 5000)
        return [Ask(workload, system, ((text(rng, 20),),)) for _ in range(4)]
    pages = [text(shared, 700) for _ in range(6)]
    chosen = [pages[rng.randrange(3)], pages[3 + rng.randrange(3)]]
    system = text(shared, 400)
    return [Ask(workload, system, ((*chosen, text(rng, 20)),)) for _ in range(3)]


def body(api: str, model: str, ask: Ask, *, stream: bool) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
    tool = {"name": "read_file", "description": "Reads a file of the project."}
    turns = [
        {"role": ("user", "assistant")[at % 2], "content": [_block(api, at % 2, part) for part in said]}
        for at, said in enumerate(ask.turns)
    ]
    base: dict[str, Any] = {"model": model, "stream": stream}
    if api == "chat":
        tools: list[Any] = [{"type": "function", "function": {**tool, "parameters": schema}}]
        return {**base, "tools": tools, "messages": [{"role": "system", "content": ask.system}, *turns]}
    if api == "messages":
        tools = [{**tool, "input_schema": schema}]
        return {**base, "tools": tools, "system": ask.system, "messages": turns, "max_tokens": 60}
    tools = [{"type": "function", **tool, "parameters": schema}]
    return {**base, "tools": tools, "instructions": ask.system, "input": turns}


def _block(api: str, answer: int, part: str) -> dict[str, str]:
    return {"type": ("input_text", "output_text")[answer] if api == "responses" else "text", "text": part}


def takes(api: str, name: str, sent: dict[str, Any]) -> list[bool]:
    """Which segments can carry a mark once LiteLLM has brought the request into its provider's shape."""
    segments = parse(Api(api), sent).segments
    if name == "claude" and api == "responses":  # becomes a chat, whose texts all can
        return [True] * len(segments)
    if name == "gpt" and api == "messages":  # becomes a Responses call, whose instructions, tools and answers can not
        return [segment.kind is SegmentKind.MESSAGE and segment.role == "user" for segment in segments]
    dialect = Dialect.ANTHROPIC if name == "claude" else Dialect.OPENAI
    return [place is not None for place in places(Api(api), sent, dialect)]


def config() -> dict[str, Any]:
    """The shipped one with an alias for each provider, off and on; each has a key, and so a bill, of its own."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "litellm_config/config.yaml").read_text(encoding="utf-8"))
    for side in ("off", "on"):
        for name, (provider, model) in PROVIDERS.items():
            params = {"model": f"{provider}/{model}", "api_key": f"sk-{side}-{name}"}
            params["api_base"] = f"os.environ/{provider.upper()}_API_BASE"
            found["model_list"].append({"model_name": f"{side}-{name}", "litellm_params": params})
    return found


def policy() -> dict[str, Any]:
    def route(side: str) -> dict[str, Any]:
        return {"name": side, "match": {"model": f"{side}-*"}, "levers": {"prompt_cache": {"mode": side}}}

    return {"defaults": {"holdout": 0}, "routes": [route("off"), route("on")]}


def runs(sessions: int, seed: int) -> Iterator[tuple[str, str, bool, list[Ask]]]:
    """(API, provider, streamed, requests in order) of each session; no two combinations share a prefix."""
    for at, (api, name, stream) in enumerate((a, n, s) for a in PATHS for n in PROVIDERS for s in (False, True)):
        for workload in WORKLOADS:
            for number in range(sessions):
                yield api, name, stream, session(workload, number, seed + at)


def replayed(stack: Stack, work: list[tuple[str, str, bool, list[Ask]]]) -> tuple[Counter[int], list[Any]]:
    """Statuses, and (time, API, provider, body) of each request on the side where the lever is on."""
    headers = {"authorization": f"Bearer {stack.master_key}"}
    statuses: Counter[int] = Counter()
    log: list[Any] = []

    def play(one: tuple[str, str, bool, list[Ask]]) -> None:
        api, name, stream, asks = one
        with httpx.Client(base_url=stack.envoy_url, timeout=120, headers=headers) as client:
            for ask in asks:
                for side in ("off", "on"):
                    sent = body(api, f"{side}-{name}", ask, stream=stream)
                    if side == "on":
                        log.append((time.time(), api, name, sent))
                    statuses[client.post(PATHS[api], json=sent).status_code] += 1

    with ThreadPoolExecutor(4) as pool:
        list(track(pool.map(play, work), total=len(work), description="sessions"))
    return statuses, sorted(log, key=lambda row: row[0])


def billed(stack: Stack) -> dict[tuple[str, str], Decimal]:
    """USD of prompts by side and provider, from the provider's bill."""
    found: dict[tuple[str, str], Decimal] = {}
    for line in httpx.get(f"{stack.simulator_url}/sim/bill").json()["lines"]:
        _, side, name = line["key"].split("-")
        if line["kind"] != "output":
            found[side, name] = found.get((side, name), Decimal(0)) + Decimal(line["usd"])
    return found


def ledger_saved(stack: Stack, requests: int) -> Decimal:
    """What the ledger says was saved, once every request of both sides is in it."""
    from sqlalchemy import create_engine
    from sqlalchemy import text as sql

    engine = create_engine(stack.ledger_url)
    deadline = time.monotonic() + 60
    while True:
        with engine.connect() as connection:
            rows = connection.execute(sql("select count(*) from attempt")).scalar_one()
            usd = connection.execute(sql("select coalesce(sum(usd), 0) from saving")).scalar_one()
        if rows >= requests or time.monotonic() > deadline:
            return Decimal(usd) / 10**12
        time.sleep(0.5)


def predicted_saved(log: list[Any], tokens_per_char: dict[str, float]) -> float:
    """The same decisions from the requests alone, at the price map's prices, in USD."""
    book = PriceBook.from_litellm_map(find_litellm_map())
    terms, replays, saved = TermBook(book), {name: Replay() for name in PROVIDERS}, 0.0
    for at, api, name, sent in log:
        provider, model = PROVIDERS[name]
        rules, prices = (found := terms.of(provider, model, None)).rules, found.prices
        assert prices is not None
        request = parse(Api(api), sent)
        system_first = rules.style is Style.MARKS
        positions = prefix_of(
            request, b"", tokens_per_char[name], takes=takes(api, name, sent), system_first=system_first
        )
        decision = replays[name].take("on", positions, prices, rules, at=at)
        rate = book.list_price(model, provider=provider).rate(Kind.INPUT, prompt_tokens=0)
        saved += float(rate or 0) * (decision.client_alone.cost(prices) - decision.expected.cost(prices))
    return saved


def tokens_per_char(stack: Stack, log: list[Any]) -> dict[str, float]:
    chars: Counter[str] = Counter()
    for _, api, name, sent in log:
        chars[name] += parse(Api(api), sent).chars
    tokens: Counter[str] = Counter()
    for line in httpx.get(f"{stack.simulator_url}/sim/bill").json()["lines"]:
        _, side, name = line["key"].split("-")
        tokens[name] += line["tokens"] if side == "on" and line["kind"] != "output" else 0
    return {name: tokens[name] / chars[name] for name in chars}


def measure(sessions: int, workers: int, seed: int) -> dict[str, Any]:
    work = list(runs(sessions, seed))
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, name) for name in ("config.yaml", "policy.yaml")}
        files["config.yaml"].write_text(yaml.safe_dump(config()))
        files["policy.yaml"].write_text(yaml.safe_dump(policy()))
        stack = Stack(
            Path(folder, "state"), workers=workers, config=files["config.yaml"], policy=files["policy.yaml"],
            keys=KEYS, simulator_args=("--latency-scale", "0"),
        )  # fmt: skip
        with stack:
            statuses, log = replayed(stack, work)
            said = float(ledger_saved(stack, sum(statuses.values())))
            bill = {key: float(usd) for key, usd in billed(stack).items()}
            predicted = predicted_saved(log, tokens_per_char(stack, log))
    off, on = (sum(usd for (side, _), usd in bill.items() if side == which) for which in ("off", "on"))
    fell = off - on
    if not fell:
        raise SystemExit(f"nothing was saved, and nothing can be compared; statuses: {dict(statuses)}")
    return {
        "input_usd": {"off": round(off, 4), "on": round(on, 4)},
        "by_provider": {f"{side}-{name}": round(usd, 4) for (side, name), usd in sorted(bill.items())},
        "saved_usd": {"bill": round(fell, 4), "ledger": round(said, 4), "predicted": round(predicted, 4)},
        "ledger_error": round(said / fell - 1, 4),
        "predicted_error": round(predicted / fell - 1, 4),
        "input_cost": round(on / off, 4),
        "statuses": {str(status): count for status, count in sorted(statuses.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.prompt_cache_proxy", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--sessions", type=int, default=6, help="of each workload in each combination (%(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="of the proxy (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one session of each: whether it runs, no figures")
    args = parser.parse_args()
    result = measure(1 if args.quick else args.sessions, args.workers, args.seed)
    result |= {"seed": args.seed, "data": "made by this program", **about("benchmarks.prompt_cache_proxy")}
    for name, value in result.items():
        print(f"{name}: {value}")
    for name in ("ledger_error", "predicted_error"):
        print(f"target |{name}| <= {TARGET:g}: {'met' if abs(result[name]) <= TARGET else 'MISSED'}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
