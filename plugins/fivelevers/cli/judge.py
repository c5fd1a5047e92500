"""`fivelevers judge check`: does the judge of answers agree with people."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fivelevers.cli.switching import Key, ProxyUrl
from fivelevers.errors import CalibrationError, FiveLeversError, StoreError

if TYPE_CHECKING:
    from fivelevers.policy import Judge

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Ask whether the judge of answers is any good.")
_LIMIT_S = 60.0


@app.callback()
def _about() -> None:
    """Ask whether the judge of answers is any good."""


@app.command()
def check(
    *,
    labels: Annotated[Path, typer.Option(help='Lines of {"question", "a", "b", "same"}: two answers, and a person.')],
    model: Annotated[str, typer.Option(help="A model alias of the proxy; without one the cheap judges alone.")] = "",
    url: ProxyUrl = "",
    key: Key = "",
    same_from: Annotated[float, typer.Option(min=0, max=1, help="As judge.same_from in the policy.")] = 0.95,
    different_below: Annotated[float, typer.Option(min=0, max=1, help="As judge.different_below.")] = 0.6,
) -> None:
    """The judge's agreement with people, on answers that people have compared.

    Each pair goes the judge's way: equal text, then embeddings, then the model for what these leave open. A wrong
    `same` makes a wrong alias, and wrong hits from then on; a wrong `different` costs a hit. What stays open makes
    nothing.

    Exit code 0: at least 95 % of its verdicts agree; 1: fewer do; 2: could not run.
    """
    console = Console(highlight=False)
    try:
        settings = _settings(model, same_from, different_below)
        told = asyncio.run(_judged(labels, settings, url, key))
    except (FiveLeversError, OSError) as error:
        Console(stderr=True, highlight=False).print(f"fivelevers judge: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    raise typer.Exit(_show(told, console))


def _settings(model: str, same_from: float, different_below: float) -> Judge:
    from fivelevers.policy import Judge

    return Judge(model=model or None, same_from=same_from, different_below=different_below)


async def _judged(labels: Path, settings: Judge, url: str, key: str) -> list[tuple[bool, Any]]:
    """(what the person said, the verdict) of every line."""
    from rich.progress import track

    from fivelevers.answer_judging import Judges
    from fivelevers.providers.minilm import MiniLm

    rows = _rows(labels)
    embedder = MiniLm()
    await embedder.ready()

    async def ask(alias: str, messages: Sequence[dict[str, str]]) -> str | None:
        return await asyncio.to_thread(_ask, url, key, alias, messages)

    judges = Judges("check", settings, embedder, _Unbounded(), ask)
    console = Console(stderr=True)
    shown = track(rows, "judging", console=console, transient=True, disable=not console.is_terminal)
    return [(row["same"], await judges.compare(row.get("question", ""), row["a"], [row["b"]])) for row in shown]


class _Unbounded:
    async def spent_usd(self, route: str) -> float:
        return 0.0


def _rows(path: Path) -> list[dict[str, Any]]:
    from fivelevers.cli.labelled_pairs import read

    rows = read(path)
    if not rows:
        raise CalibrationError(f"{path}: has no labelled pair")
    return rows


def _ask(url: str, key: str, model: str, messages: Sequence[dict[str, str]]) -> str | None:
    if not url:
        raise StoreError("--url: is missing; name the proxy that has the judging model")
    body = json.dumps({"model": model, "messages": list(messages), "temperature": 0, "max_tokens": 16}).encode()
    headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"{url.rstrip('/')}/v1/chat/completions", body, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_LIMIT_S) as answer:  # noqa: S310  the user's own proxy
            reply = json.load(answer)["choices"][0]["message"]["content"]
    except (urllib.error.URLError, ValueError, KeyError, IndexError, TypeError) as error:
        raise StoreError(f"--url: {url}: the judge gives no answer: {error}") from error
    return reply if isinstance(reply, str) else None


def _show(told: Sequence[tuple[bool, Any]], console: Console) -> int:
    from fivelevers.cli.tables import table
    from fivelevers.levers.semantic_cache.judging import JudgedBy, Said

    shown = table("The judge beside people", "judged by", "pairs", "agree", "wrong same", "wrong different")
    decided = [(person, verdict) for person, verdict in told if verdict.said is not None]
    for judge in [*JudgedBy, None]:
        of = [(p, v.said is Said.SAME) for p, v in decided if judge is None or v.by is judge]
        if not of:
            continue
        agree = sum(person == same for person, same in of)
        wrong_same = sum(same and not person for person, same in of)
        name = "all" if judge is None else judge.value
        shown.add_row(
            name, f"{len(of):,}", f"{agree / len(of):.1%}", f"{wrong_same:,}", f"{len(of) - agree - wrong_same:,}"
        )
    console.print(shown)
    console.print(f"Left open: {len(told) - len(decided):,} of {len(told):,} pairs.")
    agreed = sum(person == (verdict.said is Said.SAME) for person, verdict in decided)
    return 0 if decided and agreed >= 0.95 * len(decided) else 1
