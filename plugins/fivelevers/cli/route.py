"""`fivelevers route`: which prompts a cheaper model may answer, proven on labelled ones."""

from __future__ import annotations

import json
import time
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
    from fivelevers.prices import PriceBook

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Prove which prompts a cheaper model may answer (lever 4)."
)

Labelled = Annotated[Path, typer.Argument(help='Lines of {"prompt", "route", "correct": {model: true}, "tokens"}.')]
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

    Exit code 0: it routes; 1: it does not (do-not-route, need-more); 2: could not run.
    """
    with told("fit"):
        from fivelevers.cli.labelled_prompts import examples_of, prices_of
        from fivelevers.levers.routing.calibrate import calibrate, judged
        from fivelevers.levers.routing.split import groups_of, split

        prompts, book = _read(labelled), _book(prices, price_map)
        examples = examples_of(prompts, book)
        if strong and strong not in examples.models:
            raise CalibrationError(f"--strong: {strong!r} has no labels; the file has {', '.join(examples.models)}")
        shares, groups = (train, min(calibration, 1 - train)), groups_of(examples.features)
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
        from fivelevers.cli.labelled_prompts import examples_of, prices_of
        from fivelevers.levers.routing.calibrate import judged, recertify
        from fivelevers.stores import route_artifact

        before, book = route_artifact.read(artifact), _book(prices, price_map)
        examples = examples_of(_read(labelled), book)
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


def _read(path: Path) -> list[LabelledPrompt]:
    """What all models answered; how many others there are is said."""
    from fivelevers.cli.labelled_prompts import answered_by_all, read

    found = read(path)
    kept = answered_by_all(found)
    if len(kept) < len(found):
        told = f"{len(found) - len(kept):,} of {len(found):,} prompts were not answered by all models: left out."
        Console(stderr=True, highlight=False).print(told)
    return kept


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
