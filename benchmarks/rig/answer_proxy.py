"""What lever 2 costs a request: a miss and a hit of the support assistant, each with its twin to the bare proxy.

Blocks of new questions go to both proxies, one after the other in random order. Then the same block goes again: what
was a miss is a hit of the exact tier now. Every question has the assistant's whole prompt before it, is in one scope
with all others, and stands in no other block. The route is calibrated, to a score that no question reaches: so a miss
is embedded, looked up among those before it, answered by the simulator, and afterwards stored, and of the policy's
share compared with its neighbours' answers. What the lever does after an answer falls into its own turn, pauses
included.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.rig import ratios
from benchmarks.rig.load import KINDS, Ask, Client, ask
from benchmarks.rig.proxies import Pair, booted, simulator
from benchmarks.rig.ratios import Block
from examples.traffic.keys import load_keys
from examples.traffic.references import expand
from fivelevers.levers.semantic_cache.calibration import Calibration, Holds, Verdict
from fivelevers.levers.semantic_cache.serve import Rule
from fivelevers.stores.calibrations import LOOK_EVERY_S, Calibrated, add, look_ups_of
from fivelevers.stores.ledger import Ledger

HEADER = "x-fivelevers-semantic-cache"
LEVERS = {"semantic_cache": {"mode": "on", "tier": "semantic"}}
BLOCK = 20  # requests
_CHATS = KINDS[:2]  # whole and streamed
_WARM_BLOCKS = 4
_SERVES_NOTHING = 1.0
_USUAL = ("hit same", "miss score", "miss similarity", "miss margin")
_LOADS_WITHIN_S = 120.0
_PAUSE_S = 0.1
_SYSTEM = {"role": "system", "content": {"$text": ["support/system", "support/context"]}}
_ASKED = "How do I change|Where do I find|Who may delete|When does somebody see|Can a client print|What happens to"
_THINGS = "the invoice|the waiting list|a voucher|the price list|a lesson note|the room plan|a reminder|the tax number"
_WHERE = "on the phone|for a new teacher|after the holidays|in the second studio|once it is paid|without a password"
_WHY = ", please|, or not at all| and why| and what does it cost|, my colleague asks| when I am away"


def measured(folder: Path, blocks: int, seed: int, *, latency_scale: float = 0) -> dict[str, Any]:
    """Milliseconds and ratios of misses and hits; ``latency_scale`` 0: the provider answers at once, 1: at its pace."""
    folder.mkdir()
    rng, warm = random.Random(seed), min(_WARM_BLOCKS, blocks)
    questions = asks(rng)
    found: dict[str, list[Block]] = {"miss": [], "hit": []}
    other: Counter[str] = Counter()
    with simulator(folder, latency_scale) as url, booted(folder / "proxies", url, LEVERS) as pair:
        clients = (Client(pair.bare), Client(pair.ours))
        _calibrate(f"sqlite:///{folder}/proxies/ledger.db", clients[1], questions)
        for number in range(warm + blocks):
            batch = [next(questions) for _ in range(BLOCK)]
            for wanted, blocks_of in found.items():
                block, said = _block(pair, clients, batch, wanted, first=rng.randrange(2))
                other.update(f"{wanted} wanted: {told}" for told in said if told not in _USUAL)
                if number >= warm:
                    blocks_of.append(block)
        for client in clients:
            client.close()
    figures: dict[str, Any] = {name: _figures(taken, seed) for name, taken in found.items()}
    return {**figures, "other": dict(other), "questions": blocks * BLOCK}


def asks(rng: random.Random) -> Iterator[Ask]:
    """Questions in random order, each once, whole and streamed in turns."""
    key = load_keys()["support-emea"]
    parts = product(*(words.split("|") for words in (_ASKED, _THINGS, _WHERE, _WHY)))
    texts = [f"{asked} {thing} {where}{why}?" for asked, thing, where, why in parts]
    rng.shuffle(texts)
    for number, text in enumerate(texts):
        messages = [_SYSTEM, {"role": "user", "content": text}]
        body = {"model": "support-assistant", "temperature": 0, "max_tokens": 400, "messages": messages}
        yield ask(_CHATS[number % 2], expand(body), key)


def _calibrate(ledger_url: str, client: Client, questions: Iterator[Ask]) -> None:
    """For the embedder, once it has loaded, and the prompt; returns when the proxy follows it."""
    ledger = Ledger(ledger_url)
    ledger.create()
    deadline = time.monotonic() + _LOADS_WITHIN_S
    while not (looked := list(look_ups_of(ledger, "support", 0.0))):
        if time.monotonic() > deadline:
            raise SystemExit(f"{HEADER}: {client.headers.get(HEADER)}: no semantic look-up in {_LOADS_WITHIN_S:g} s")
        client.send(next(questions))
        time.sleep(0.5)
    holds = Holds(looked[-1]["embedder"], (), (str(looked[-1]["seen"]["prompt"]),))
    now = time.time()
    made = Calibration(Verdict.SERVE, 0.03, 500, 500, now, now, holds, Rule(serve_at=_SERVES_NOTHING))
    add(ledger, Calibrated(now, "support", "semantic_cache", "benchmark", made.to_json()))
    ledger.close()
    time.sleep(2 * LOOK_EVERY_S)


def _block(
    pair: Pair, clients: tuple[Client, Client], batch: Sequence[Ask], wanted: str, *, first: int
) -> tuple[Block, list[str]]:
    """The same requests to both, and what the lever said of each: times are of those that it treated as ``wanted``."""
    before = pair.bare.cpu_s(), pair.ours.cpu_s()
    took: dict[int, list[float]] = {}
    said: list[str] = []
    for side in (first, 1 - first):
        took[side] = []
        for one in batch:
            took[side].append(clients[side].send(one))
            if side:
                said.append(_said(clients[side].headers.get(HEADER, "none")))
        time.sleep(_PAUSE_S)
    latency: dict[str, list[tuple[float, float]]] = {kind: [] for kind in _CHATS}
    for one, bare, ours, told in zip(batch, took[0], took[1], said, strict=True):
        if told.partition(" ")[0] == wanted:
            latency[one.kind].append((bare, ours))
    return Block(latency, (pair.bare.cpu_s() - before[0], pair.ours.cpu_s() - before[1])), said


def _said(header: str) -> str:
    """ "miss; why=new; ..." as "miss new"."""
    state, _, rest = header.partition("; why=")
    return f"{state} {rest.partition(';')[0]}".strip()


def _figures(blocks: Sequence[Block], seed: int) -> dict[str, Any]:
    pairs = _pairs(blocks)
    ratio = ratios.with_interval(lambda some: median(ours / bare for bare, ours in _pairs(some)), [blocks], seed)
    bare_s, ours_s = (sum(block.cpu_s[side] for block in blocks) for side in range(2))
    return {
        "bare_ms_p50": round(median(bare for bare, _ in pairs), 2),
        "ours_ms_p50": round(median(ours for _, ours in pairs), 2),
        "ratio_p50": round(ratio.value, 3),
        "ratio_interval": [round(ratio.low, 3), round(ratio.high, 3)],
        "added_ms_p50": round(median(ours - bare for bare, ours in pairs), 2),
        "cpu_ms_bare": round(bare_s * 1e3 / BLOCK / len(blocks), 2),
        "cpu_ms_ours": round(ours_s * 1e3 / BLOCK / len(blocks), 2),
        "requests": len(pairs),
    }


def _pairs(blocks: Sequence[Block]) -> list[tuple[float, float]]:
    return [pair for kind in _CHATS for pair in ratios.pairs(blocks, kind)]
