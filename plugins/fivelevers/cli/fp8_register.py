"""`fivelevers fp8 register` and `rollback`: into LiteLLM's config with prices, and out of the traffic at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from fivelevers.cli.fp8_told import told
from fivelevers.cli.off import off
from fivelevers.cli.options import STATE_DIR, LedgerUrl, StateDir
from fivelevers.cli.switching import Key, ProxyUrl, RedisUrl
from fivelevers.errors import QuantizationError, ServerError
from fivelevers.levers.quantization.deployments import deployment, original_of, registration_of, server_of, unpriced
from fivelevers.levers.quantization.gated import Gated, priced, refusal
from fivelevers.levers.routing.deployments import name_of
from fivelevers.providers.server_url import server_url
from fivelevers.stores import gated

ApiBase = Annotated[
    list[str] | None,
    typer.Option(help="The URL of a replica's server; repeat it for each. Default: the one that was gated."),
]


@dataclass(frozen=True, slots=True)
class Wanted:
    """``urls``: of the replicas, without `/v1`. ``key``: as the config has it."""

    found: Gated
    registration: str
    group: str
    urls: tuple[str, ...]
    key: str

    def beside(self, mine: Sequence[Mapping[str, Any]], original: str) -> list[dict[str, Any]]:
        """The deployments that are added to those of the group. ``original``: what lever 4 calls theirs.

        Raises QuantizationError where one is there already.
        """
        bound = [row for row in mine if registration_of(row) == self.registration]
        there = {server_of(row)[0] for row in bound}
        twice = [url for url in self.urls if url in there]
        if twice:
            why = f"{self.group!r} has this registration at {', '.join(twice)} already"
            raise QuantizationError(f"{why}; name another replica with --api-base")
        taken = {str((row.get("model_info") or {}).get("id")) for row in mine}
        made, at = list[dict[str, Any]](), 0
        while len(made) < len(self.urls):
            about = {"original": original, "url": self.urls[len(made)], "key": self.key}
            one = deployment(self.found, self.registration, self.group, replica=at, **about)
            if one["model_info"]["id"] not in taken:
                made.append(one)
            at += 1
        return made


def register(
    verdict: Annotated[Path, typer.Argument(help="What `fivelevers fp8 gate` wrote.")],
    *,
    group: Annotated[str, typer.Option(help="The model_name that the original has.")],
    config: Annotated[Path | None, typer.Option(help="LiteLLM's config.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write it into the config.")] = False,
    api_base: ApiBase = None,
    key: Annotated[str, typer.Option(help="The servers' key as the config has it, such as os.environ/VLLM_KEY.")] = "",
) -> None:
    """Print the deployments of a quantised model that passed both verdicts, with its prices, or write them into the
    config: one for each --api-base.

    They join the original's model group, bound to the verdict: traffic goes to one only while the policy names that
    file, the lever is on, and its server's checkpoint and version, and its prices, are what was gated. A deployment
    without prices costs nothing in LiteLLM, so the original's have to stand there too. More replicas may be added
    later: run it again with theirs.

    Exit code 0: printed or written; 1: the verdict does not allow it; 2: could not run.
    """
    with told("register"):
        found = gated.read(verdict)
        why = refusal(found)
        if why is not None:
            _say(f"No: {verdict} {why}.")
            raise typer.Exit(1)
        name, urls = gated.name_of(verdict), _urls(api_base or (), found)
        if config is None:
            if apply:
                raise QuantizationError("--config: is missing; name LiteLLM's config to write into")
            made = [deployment(found, name, group, url=url, replica=at, key=key) for at, url in enumerate(urls)]
            print(yaml.safe_dump(made, sort_keys=False), end="")  # noqa: T201
        else:
            _into(config, Wanted(found, name, group, urls, key), apply=apply)
        _say(f"Then, in the policy: quantization: {{mode: on, percent: 5, registration: {verdict.name}}}")


def rollback(
    *,
    route: Annotated[str, typer.Option(help="The route.")],
    reason: Annotated[str, typer.Option(help="Why: kept in the history, shown to whoever looks.")] = "",
    url: ProxyUrl = "",
    key: Key = "",
    redis: RedisUrl = "",
    ledger: LedgerUrl = "",
    state_dir: StateDir = STATE_DIR,
) -> None:
    """Send all of a route's traffic to the original, on every replica within a second: `fivelevers off` for this lever.

    The original's deployments stay in the group and warm for that. `fivelevers resume --lever quantization` lifts it.
    """
    off(
        route=route,
        lever="quantization",
        reason=reason,
        url=url,
        key=key,
        redis=redis,
        ledger=ledger,
        state_dir=state_dir,
    )


def _urls(given: Sequence[str], found: Gated) -> tuple[str, ...]:
    """Raises QuantizationError."""
    try:
        urls = tuple(map(server_url, given)) or (found.candidate.url,)
    except ServerError as error:
        raise QuantizationError(f"--api-base: {error}") from error
    for url in urls:
        if urls.count(url) > 1:
            raise QuantizationError(f"--api-base: {url} is written twice; name each replica once")
    return urls


def _into(config: Path, wanted: Wanted, *, apply: bool) -> None:
    """Raises QuantizationError, OSError."""
    before, group = config.read_text(encoding="utf-8"), wanted.group
    rows = _models(before, config)
    mine = [row for row in rows if row.get("model_name") == group]
    originals = [row for row in mine if registration_of(row) is None]
    if not originals:
        known = ", ".join(sorted({str(row.get("model_name")) for row in rows})) or "none"
        raise QuantizationError(f"--group: {group!r} has no original in {config}; it has {known}")
    if unpriced(originals):
        prices = ", ".join(f"{name}: {value}" for name, value in priced(wanted.found.baseline_rates).items())
        raise QuantizationError(
            f"{config}: the original of {group!r} has no price, so that it costs nothing in LiteLLM and every saving "
            f"would be a loss; write into its litellm_params: {{{prices}}}"
        )
    original = original_of(wanted.found, originals)
    if original is None:
        there = ", ".join(sorted(map(name_of, originals)))
        _say(f"Beware: {wanted.found.baseline.model!r} was gated as the original, and {group!r} has {there}.")
    after = _added(before, wanted.beside(mine, original or ""), config)
    changes = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), str(config), str(config)
    )
    print("".join(changes), end="")  # noqa: T201
    if apply:
        beside = config.with_name(f".{config.name}.new")
        beside.write_text(after, encoding="utf-8")
        beside.replace(config)
        _say(f"Written: {config}. LiteLLM reads it when it starts.")


def _models(text: str, config: Path) -> list[dict[str, Any]]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise QuantizationError(f"{config}: is no YAML: {error}") from error
    rows = found.get("model_list") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not rows:
        raise QuantizationError(f"{config}: has no model_list; name LiteLLM's config")
    return [row for row in rows if isinstance(row, dict)]


def _added(text: str, made: list[dict[str, Any]], config: Path) -> str:
    """After the last deployment; comments and style of the rest stay. Raises QuantizationError."""
    fix = "copy what `fivelevers fp8 register` prints without --config"
    root = yaml.compose(text)
    nodes = [value for key, value in getattr(root, "value", []) if key.value == "model_list"]
    if not nodes or nodes[0].flow_style:
        raise QuantizationError(f"{config}: its model_list is not written one deployment a line; {fix}")
    last = nodes[0].value[-1]
    indent = " " * (last.start_mark.column - 2)
    lines = text.splitlines(keepends=True)
    at = last.end_mark.line + (1 if last.end_mark.column else 0)
    while at > 0 and not lines[at - 1].strip(" \n").partition("#")[0]:  # what stands before the next part stays there
        at -= 1
    if at and not lines[at - 1].endswith("\n"):
        lines[at - 1] += "\n"
    block = yaml.safe_dump(made, sort_keys=False).splitlines(keepends=True)
    after = "".join([*lines[:at], *(indent + line for line in block), *lines[at:]])
    if yaml.safe_load(after) != _with(yaml.safe_load(text), made):
        raise QuantizationError(f"{config}: can not be changed without changing more; {fix}")
    return after


def _with(config: dict[str, Any], made: list[dict[str, Any]]) -> dict[str, Any]:
    return {**config, "model_list": [*config["model_list"], *made]}


def _say(line: str) -> None:
    Console(stderr=True, highlight=False).print(line, markup=False, soft_wrap=True)
