"""`fivelevers check`: is the policy good, what does it amount to, and does the LiteLLM config get in its way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fivelevers.cli.options import STATE_DIR, LedgerUrl, StateDir, ledger_url
from fivelevers.errors import ContentError, Problem, StoreError
from fivelevers.order import Mode

if TYPE_CHECKING:
    from fivelevers.policy import Policy, Route
    from fivelevers.policy.document import Document
    from fivelevers.switch import Board

_COLOURS = {"error": "red", "warning": "yellow", "note": "cyan"}
DEFAULT_POLICY = Path("litellm_config/fivelevers.yaml")


def check(
    policy: Annotated[
        Path | None,
        typer.Argument(envvar="FIVELEVERS_POLICY", help=f"The policy file; default: {DEFAULT_POLICY}."),
    ] = None,
    *,
    litellm_config: Annotated[Path | None, typer.Option(help="Name what clashes in this LiteLLM config.")] = None,
    workers: Annotated[int, typer.Option(min=1, envvar="NUM_WORKERS", help="LiteLLM's --num_workers.")] = 1,
    replicas: Annotated[int, typer.Option(min=1, help="Proxies that share the ledger.")] = 1,
    state_dir: StateDir = STATE_DIR,
    ledger: LedgerUrl = "",
) -> None:
    """Check the policy and print what it amounts to on every route; with --litellm-config, what clashes there.

    Exit code 0: fine, warnings aside; 1: there are problems; 2: could not run.
    """
    console = Console(highlight=False)
    url = ledger_url(ledger, state_dir)
    try:
        problems = 0
        if policy is not None or litellm_config is None:
            problems += _policy(policy or DEFAULT_POLICY, url, litellm_config, console)
        if litellm_config is not None:
            problems += _litellm(litellm_config, url, workers, replicas, console)
        problems += _lane_redis(console)
    except (OSError, StoreError) as error:
        Console(stderr=True, highlight=False).print(f"fivelevers check: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    raise typer.Exit(1 if problems else 0)


def _policy(path: Path, url: str, config: Path | None, console: Console) -> int:
    """Print the policy or its problems; returns how many. Raises OSError where there is no file to read."""
    from fivelevers.cli.policy_tables import policy_table
    from fivelevers.policy import read

    path.open().close()
    reading = read(path)
    for problem in reading.problems:
        _say(console, "error", problem)
    for warning in reading.warnings:
        _say(console, "warning", warning)
    unusable = _content_key(reading.policy, console) if reading.policy is not None else 0
    refused = 0
    if reading.policy is not None:
        refused = _quantization(reading.policy, path, config, console)
        _memory(reading.policy, console)
        _lane(reading.policy, console)
        _unguarded(reading.policy, console)
        _routing(reading.policy, path, config, console)
    if reading.policy is not None:
        routes = len(reading.policy.routes)
        console.print(f"{path}: policy {reading.policy.hash}, {routes} routes", markup=False, soft_wrap=True)
        console.print(policy_table(reading.policy, _board(url, console)))
    return len(reading.problems) + unusable + refused


def _content_key(policy: Policy, console: Console) -> int:
    """Print what is wrong with the key for kept content, where a route keeps some; returns how many problems."""
    from fivelevers.stores.content_key import FIX, KEY, current_key

    keeping = [route.name for route in policy.routes if route.content != "off"]
    try:
        encrypted = not keeping or current_key() is not None
    except ContentError as error:
        console.print("error", style="red", end=" ")
        console.print(f"{error}; until then no content is kept", markup=False, soft_wrap=True)
        return 1
    if not encrypted:
        fix = f"set {KEY}; {FIX}"
        _say(console, "warning", Problem("content", ", ".join(keeping), "is kept unencrypted on these routes", fix))
    return 0


def _memory(policy: Policy, console: Console) -> None:
    """Say where levers 1 and 2 lack what they remember in, or work with."""
    wanted = [r.name for r in policy.routes if r.levers.prompt_cache.mode in (Mode.ON, Mode.SHADOW)]
    fix = "set FIVELEVERS_REDIS_URL for every proxy (redis://host:port/0)"
    if wanted and not os.environ.get("FIVELEVERS_REDIS_URL"):
        rule = "has no Redis to remember prefixes in, so that nothing is marked"
        _say(console, "warning", Problem("prompt_cache", ", ".join(wanted), rule, fix))
    caching = [r for r in policy.routes if r.levers.semantic_cache.mode in (Mode.ON, Mode.SHADOW)]
    names = ", ".join(route.name for route in caching)
    if caching and not (os.environ.get("FIVELEVERS_ANSWERS_REDIS_URL") or os.environ.get("FIVELEVERS_REDIS_URL")):
        _say(console, "warning", Problem("semantic_cache", names, "has no Redis to store answers in", fix))
    for package, rule in _lacking(caching):
        instead = f"pip install 'fivelevers[{package}]', or tier: exact"
        _say(console, "warning", Problem("semantic_cache", names, rule, instead))
    for route in caching:
        lever = route.levers.semantic_cache
        if lever.judge.model is None and lever.tier == "semantic":
            rule = "has no judging model: answers that embeddings can not tell apart stay unjudged"
            _say(console, "note", Problem("judge.model", route.name, rule, "name a cheap model alias of the proxy"))


def _lane(policy: Policy, console: Console) -> None:
    """Say where lever 3 has nothing to keep accepted requests in."""
    batching = [route.name for route in policy.routes if route.levers.batch.mode is Mode.ON]
    if batching and not os.environ.get("FIVELEVERS_LANE_REDIS_URL"):
        rule = "has no Redis to keep accepted requests in, so that all are asked live"
        fix = "set FIVELEVERS_LANE_REDIS_URL for every proxy: a Redis of its own, with noeviction and appendonly"
        _say(console, "warning", Problem("batch", ", ".join(batching), rule, fix))


def _unguarded(policy: Policy, console: Console) -> None:
    """Say where the guard has nothing to compare a lever with."""
    for route in policy.routes:
        whole = [name for name, share in route.shares.items() if share == 1 and name != "batch"]
        if whole and not route.holdout:
            rule = "on for everybody and without a holdout, so that no guard can call it back"
            fix = "set a holdout (0.02), or percent to 50 until it is proven"
            _say(console, "warning", Problem(f"routes.{route.name}", ", ".join(whole), rule, fix))


def _routing(policy: Policy, path: Path, config: Path | None, console: Console) -> None:
    """Say where lever 4 can not route. Raises OSError where there is no config."""
    from fivelevers.cli.check_cascade import cascade_warnings
    from fivelevers.cli.check_routing import groups_of, routing_warnings

    groups = groups_of([] if config is None else [part.value for part in _parts(config, set())])
    for problem in (*routing_warnings(policy, path.parent, groups), *cascade_warnings(policy, path.parent, groups)):
        _say(console, "warning", problem)


def _quantization(policy: Policy, path: Path, config: Path | None, console: Console) -> int:
    """Print what keeps lever 5 from acting; returns on how many routes it is on and may not be. Raises OSError."""
    from fivelevers.cli.check_quantization import quantization_problems
    from fivelevers.cli.check_routing import groups_of

    groups = groups_of([] if config is None else [part.value for part in _parts(config, set())])
    found = list(quantization_problems(policy, path.parent, groups))
    for kind, problem in found:
        _say(console, kind, problem)
    return sum(kind == "error" for kind, _ in found)


def _lane_redis(console: Console) -> int:
    """Print what speaks against the lane's Redis, where there is one; returns how many. Raises StoreError."""
    url = os.environ.get("FIVELEVERS_LANE_REDIS_URL")
    if not url:
        return 0
    from fivelevers.stores.redis_config import lane_problems

    if url == os.environ.get("FIVELEVERS_REDIS_URL"):
        rule = "keeps answers and statistics too: when they fill it, nothing is accepted any more"
        names = ("FIVELEVERS_LANE_REDIS_URL", "FIVELEVERS_REDIS_URL")
        _say(console, "warning", Problem(*names, rule, "set a Redis of its own"))
    found = list(lane_problems(url))
    for problem in found:
        _say(console, "error", problem)
    return len(found)


def _lacking(caching: Sequence[Route]) -> Iterator[tuple[str, str]]:
    """(extra, what is missing) for the routes whose questions are compared by meaning."""
    from fivelevers.providers.minilm import installed

    semantic = [r.levers.semantic_cache for r in caching if r.levers.semantic_cache.tier == "semantic"]
    if semantic and find_spec("redisvl") is None:
        yield "semantic", "has no RedisVL to search with: only the very same request is answered again"
    if any(one.embedder.in_process for one in semantic) and not installed():
        yield "minilm", "has no embedder: only the very same request is answered again"


def _say(console: Console, kind: str, problem: Problem) -> None:
    console.print(kind, style=_COLOURS[kind], end=" ")
    console.print(str(problem), markup=False, soft_wrap=True)


def _board(url: str, console: Console) -> Board:
    """What is switched off, as far as Redis or the ledger can be asked; a ledger that is not there is not made."""
    from fivelevers.stores.switches import Switches
    from fivelevers.switch import NOTHING_OFF

    redis_url = os.environ.get("FIVELEVERS_REDIS_URL", "")
    there = not url.startswith("sqlite:///") or Path(url.removeprefix("sqlite:///")).exists()
    if not redis_url and not there:
        return NOTHING_OFF
    switches = Switches(redis_url, url if there else "")
    try:
        return switches.look()
    except StoreError as error:
        console.print(f"What is switched off is not known: {error}", style="yellow", markup=False, soft_wrap=True)
        return NOTHING_OFF
    finally:
        switches.close()


def _litellm(path: Path, url: str, workers: int, replicas: int, console: Console) -> int:
    """Print what clashes; returns how many. Raises OSError or StoreError where it can not be told."""
    from fivelevers.audit.litellm_config import Host, clashes, notes
    from fivelevers.providers.cache_rules import style_of

    parts = list(_parts(path, set()))
    found = [problem for part in parts for problem in part.problems]
    if not found:
        found = clashes(parts, Host(workers, replicas, url, os.environ))
    for problem in found:
        _say(console, "error", problem)
    for note in notes(parts, style_of()):
        _say(console, "note", note)
    if not found:
        console.print(f"{path}: nothing in it gets in the plugin's way", markup=False, soft_wrap=True)
    return len(found)


def _parts(path: Path, seen: set[Path]) -> Iterator[Document]:
    """A LiteLLM config and the files that it includes."""
    from dataclasses import replace

    from fivelevers.policy.document import read_document

    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    document = read_document(path.read_text(encoding="utf-8", errors="replace"), str(path))
    if not document.problems and not isinstance(document.value, dict):
        wrong = document.problem((), document.value, "is not a mapping", "name LiteLLM's config file")
        document = replace(document, problems=(wrong,))
    yield document
    included = document.at(("include",))
    for name in included if isinstance(included, list) else ():
        yield from _parts(path.parent / str(name), seen)
