"""`fivelevers route`: which prompts a cheaper model may answer, proven on labelled ones."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fivelevers.cli.benchmark import benchmark
from fivelevers.cli.logs import AsJson, PriceMap, Prices, price_book
from fivelevers.cli.route_told import told
from fivelevers.errors import CalibrationError, PriceError
from fivelevers.levers.routing.bound import Bound

if TYPE_CHECKING:
    from fivelevers.cli.labelled_prompts import LabelledPrompt
    from fivelevers.levers.routing.artifact import Artifact
    from fivelevers.levers.routing.certify import Judged, Promise
    from fivelevers.levers.routing.examples import Examples
    from fivelevers.prices import PriceBook

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Prove which prompts a cheaper model may answer (lever 4)."
)

Labelled = Annotated[Path, typer.Argument(help='Lines of {"prompt", "route", "correct": {model: true}, "tokens"}.')]
Weak = Annotated[str, typer.Option("--cascade", help='A weak model, whose "answers" in the file decide.')]
Out = Annotated[Path, typer.Option("--out", help="Where the artifact is written.")]
Epsilon = Annotated[float, typer.Option(min=0, max=1, help="How much less often answers may be right.")]
Confidence = Annotated[float, typer.Option(min=0.5, max=0.9999, help="Of the promise.")]
Picture = Annotated[Path | None, typer.Option(help="Write cost and success as a picture (SVG).")]
BoundName = Annotated[Bound, typer.Option("--bound", help="exact: for any number; score: narrower, from 500 prompts.")]


@app.callback()
def _about() -> None:
    """Prove which prompts a cheaper model may answer."""


app.command("benchmark")(benchmark)


@app.command("fit")
def fit(
    labelled: Labelled,
    *,
    out: Out,
    strong: Annotated[str, typer.Option(help="The model to be as good as; default: right most often.")] = "",
    cascade: Weak = "",
    epsilon: Epsilon = 0.02,
    confidence: Confidence = 0.95,
    bound: BoundName = Bound.EXACT,
    train: Annotated[float, typer.Option(min=0.05, max=0.9, help="Share of prompts to fit to.")] = 0.4,
    calibration: Annotated[float, typer.Option(min=0.05, max=0.9, help="Share to certify on; the rest reports.")] = 0.5,
    prices: Prices = "",
    price_map: PriceMap = "",
    picture: Picture = None,
    as_json: AsJson = False,
) -> None:
    """Learn which prompts a cheaper model answers as well, and prove what following that may cost and save.

    Prompts are split by hash, near-duplicates together: a part fits, a part certifies, the rest reports. Policies are
    tried from careful to thrifty; the last that is right at most epsilon less often than the strong model, with the
    confidence asked for, is kept. Of several cheaper models each is tried, and all together, at a shared error.

    With --cascade the weak model answers first, and what is learned is which of its answers are as good: a scorer for
    `verify: [scorer]`. Each weak answer is paid for, taken or not.

    Exit code 0: it routes; 1: it does not (do-not-route, need-more); 2: could not run.
    """
    with told("fit"):
        from fivelevers.cli.labelled_prompts import prices_of
        from fivelevers.levers.routing.calibrate import calibrate, judged
        from fivelevers.levers.routing.split import groups_of, split

        prompts, book = _read(labelled, cascade), _book(prices, price_map)
        models = tuple(prompts[0].correct)
        for option, named in (("--strong", strong), ("--cascade", cascade)):
            if named and named not in models:
                raise CalibrationError(f"{option}: {named!r} has no labels; the file has {', '.join(models)}")
        strong = _strong(models, cascade, strong) if cascade else strong
        examples = _examples(prompts, book, (cascade, strong) if cascade else None)
        shares, groups = (train, min(calibration, 1 - train)), groups_of(examples.plain.features)
        parts = split([one.prompt for one in prompts], groups, shares)
        known = prices_of(examples.models, book)
        promise = _promise(epsilon, confidence, bound)
        made = calibrate(examples, parts, promise, strong=strong or None, prices=known, at=time.time())
        held = examples.take(parts.calibration).only(made.model.models)
        _finish(made, out, judged(made.model, held, made.certificate.strong), picture, as_json=as_json)


@app.command("certify")
def certify(
    artifact: Annotated[Path, typer.Argument(help="What `fivelevers route fit` wrote.")],
    labelled: Labelled,
    *,
    out: Out,
    epsilon: Epsilon = 0.02,
    confidence: Confidence = 0.95,
    bound: BoundName = Bound.EXACT,
    prices: Prices = "",
    price_map: PriceMap = "",
    picture: Picture = None,
    as_json: AsJson = False,
) -> None:
    """Prove an artifact anew on prompts that were labelled since: later traffic, other prices, more prompts.

    Nothing is fitted; the same policies are tried in the same order. Prompts that it was fitted to are left out, and
    near-duplicates count once.

    Exit code 0: it routes; 1: it does not; 2: could not run.
    """
    with told("certify"):
        from fivelevers.cli.labelled_prompts import prices_of
        from fivelevers.levers.routing.calibrate import judged, recertify
        from fivelevers.stores import route_artifact

        before, book = route_artifact.read(artifact), _book(prices, price_map)
        pair = before.model.models if before.cascade else None
        examples = _examples(_read(labelled, pair[0] if pair else ""), book, pair)
        known = prices_of(before.model.models, book)
        made = recertify(before, examples, _promise(epsilon, confidence, bound), prices=known, at=time.time())
        held = examples.only(made.model.models)
        _finish(made, out, judged(made.model, held, made.certificate.strong), picture, as_json=as_json)


@app.command("show")
def show(
    artifact: Annotated[Path, typer.Argument(help="What `fivelevers route fit` wrote.")],
    *,
    prices: Prices = "",
    price_map: PriceMap = "",
    picture: Picture = None,
    as_json: AsJson = False,
) -> None:
    """What an artifact promises, and whether it still holds at today's prices.

    Exit code 0: it routes; 1: it does not, or a price has changed; 2: could not run.
    """
    with told("show"):
        from fivelevers.cli.labelled_prompts import prices_of
        from fivelevers.cli.route_tables import shown
        from fivelevers.levers.routing.certify import Verdict
        from fivelevers.stores import route_artifact

        made = route_artifact.read(artifact)
        _draw(made, picture)
        now = prices_of(made.model.models, _book(prices, price_map))
        changed = made.holds_for({model: now.get(model) for model in made.model.models})
        if as_json:
            print(json.dumps(route_artifact.header(made) | {"reopened": changed}, indent=1))  # noqa: T201
        else:
            Console(highlight=False).print(shown(made))
            if changed is not None:
                Console(highlight=False).print(f"Re-opened: {changed}. Fit it anew.", markup=False, style="red")
        raise typer.Exit(0 if made.certificate.verdict is Verdict.ROUTE and changed is None else 1)


def _read(path: Path, weak: str) -> list[LabelledPrompt]:
    """What all models answered, and a weak one that is named in text; how many others there are is said."""
    from fivelevers.cli.labelled_prompts import answered_by_all, read, with_answer

    found = read(path)
    answered = answered_by_all(found)
    kept = with_answer(answered, weak) if weak in answered[0].correct else answered
    _left_out(len(found) - len(answered), len(found), "were not answered by all models")
    _left_out(len(answered) - len(kept), len(found), f"have no text that {weak} answered")
    return kept


def _left_out(count: int, of: int, why: str) -> None:
    if count:
        Console(stderr=True, highlight=False).print(f"{count:,} of {of:,} prompts {why}: left out.", soft_wrap=True)


def _strong(models: Sequence[str], weak: str, strong: str) -> str:
    others = [strong] if strong else [model for model in models if model != weak]
    if others != [one for one in others if one != weak][:1]:
        told = " or ".join(others) or "none"
        raise CalibrationError(f"--strong: name the one model that answers what {weak} does not; there is {told}")
    return others[0]


def _examples(prompts: Sequence[LabelledPrompt], book: PriceBook | None, pair: Sequence[str] | None) -> Examples:
    """``pair``: the models of a cascade, the weak one first."""
    from fivelevers.cli.labelled_prompts import cascade_of, examples_of

    return examples_of(prompts, book) if pair is None else cascade_of(prompts, book, *pair)


def _promise(epsilon: float, confidence: float, bound: Bound) -> Promise:
    from fivelevers.levers.routing.certify import Promise

    return Promise(epsilon, round(1 - confidence, 10), bound)


def _book(prices: str, price_map: str) -> PriceBook | None:
    """None where LiteLLM is not installed and no map was named: costs have to stand in the file then."""
    try:
        return price_book(prices, price_map)
    except PriceError:
        if prices or price_map:
            raise
        return None


def _finish(made: Artifact, out: Path, held: Judged, picture: Path | None, *, as_json: bool) -> None:
    from fivelevers.cli.route_tables import shown
    from fivelevers.levers.routing.certify import Verdict
    from fivelevers.levers.routing.overview import overview
    from fivelevers.stores import route_artifact

    made = replace(made, overview=overview(held, made.certificate.strong))
    size = route_artifact.write(out, made)
    _draw(made, picture)
    if as_json:
        print(json.dumps(route_artifact.header(made), indent=1))  # noqa: T201
    else:
        Console(highlight=False).print(shown(made))
        Console(highlight=False).print(f"Written: {out} ({size:,} bytes).", markup=False, soft_wrap=True)
    raise typer.Exit(0 if made.certificate.verdict is Verdict.ROUTE else 1)


def _draw(made: Artifact, picture: Path | None) -> None:
    from fivelevers.cli.route_picture import picture_svg

    if picture is not None:
        picture.write_text(picture_svg(made), encoding="utf-8")
