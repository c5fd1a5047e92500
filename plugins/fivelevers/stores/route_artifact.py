"""Lever 4's artifact as one file: a first line with its checksum, a header that people can read, then the numbers.

fivelevers-route 1 sha256:<of all that follows>
{... JSON, as indented as `head` shows it ...}
---
<arrays, as numpy.savez_compressed writes them>
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import numpy as np

from fivelevers.errors import CalibrationError
from fivelevers.levers.routing.artifact import Artifact, TokenPrice
from fivelevers.levers.routing.bound import Bound, Pairs
from fivelevers.levers.routing.certify import Certificate, Point, Promise, Verdict
from fivelevers.levers.routing.model import Model, Weights
from fivelevers.levers.routing.overview import Line, Overview, Spot
from fivelevers.levers.routing.watch import Mix

VERSION: Final = 1
MOST_BYTES: Final = 5_000_000
_NAME: Final = "fivelevers-route"
_LINE: Final = b"\n---\n"
_FIX: Final = "fit it anew with `fivelevers route fit`"


def write(path: Path, artifact: Artifact) -> int:
    """Writes it whole or not at all; how many bytes. Raises CalibrationError where they are too many, OSError."""
    body = json.dumps(header(artifact), indent=1).encode() + _LINE + _arrays(artifact)
    content = f"{_NAME} {VERSION} sha256:{sha256(body).hexdigest()}\n".encode() + body
    if len(content) > MOST_BYTES:
        raise CalibrationError(f"{path}: would have {len(content):,} bytes, more than {MOST_BYTES:,}; fit fewer models")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return len(content)


def read(path: Path) -> Artifact:
    """Raises CalibrationError on a file that is not one, is damaged, or is of another release; OSError."""
    content = path.read_bytes()
    first, _, body = content.partition(b"\n")
    words = first.decode("ascii", "replace").split()
    if len(words) != 3 or words[0] != _NAME:
        raise CalibrationError(f"{path}: is no routing artifact; {_FIX}")
    if words[1] != str(VERSION):
        raise CalibrationError(f"{path}: version {words[1]} is of another release; {_FIX}")
    if words[2] != f"sha256:{sha256(body).hexdigest()}":
        raise CalibrationError(f"{path}: is damaged, its checksum differs; {_FIX}")
    head, _, arrays = body.partition(_LINE)
    try:
        return _artifact(json.loads(head), arrays)
    except (KeyError, TypeError, ValueError) as error:
        raise CalibrationError(f"{path}: can not be read: {error!r}; {_FIX}") from error


def header(artifact: Artifact) -> dict[str, Any]:
    """What people read of it: everything but the numbers of the model."""
    made = artifact.certificate
    return {
        "kind": "cascade" if artifact.cascade else "router",
        "made_at": datetime.fromtimestamp(artifact.made_at, UTC).isoformat(),
        "verdict": made.verdict.value,
        "epsilon": made.promise.epsilon,
        "confidence": 1 - made.promise.error,
        "tested": made.tested,
        "certified_saving": made.saving,
        "needed": made.needed,
        "strong": made.strong,
        "models": {name: _price(artifact.prices.get(name)) for name in made.models},
        "fitted_on": artifact.fitted_on,
        "promise": asdict(made.promise),
        "chosen": made.chosen and asdict(made.chosen),
        "report": artifact.report and asdict(artifact.report),
        "mix": asdict(artifact.mix),
        "routes": list(artifact.model.routes),
        "shrunk_weight": artifact.model.shrunk_weight,
        "curve": [asdict(point) for point in made.curve],
        "overview": artifact.overview and asdict(artifact.overview),
    }


def _price(price: TokenPrice | None) -> dict[str, str] | None:
    if price is None:
        return None
    return {"input_usd_per_token": f"{price.input_usd:f}", "output_usd_per_token": f"{price.output_usd:f}"}


def _arrays(artifact: Artifact) -> bytes:
    out, model = BytesIO(), artifact.model
    weights = {f"weights_{name}": getattr(model.weights, name) for name in ("constant", "routes", "surface", "words")}
    names = ("shrunk", "surface_mean", "surface_spread", "usd_fixed", "usd_per_char")
    np.savez_compressed(out, seen=artifact.seen, **{name: getattr(model, name) for name in names}, **weights)
    return out.getvalue()


def _artifact(head: Mapping[str, Any], arrays: bytes) -> Artifact:
    with np.load(BytesIO(arrays), allow_pickle=False) as opened:
        found = dict(opened)
    return Artifact(
        made_at=datetime.fromisoformat(head["made_at"]).timestamp(),
        fitted_on=head["fitted_on"],
        certificate=_certificate(head),
        model=_model(head, found),
        mix=Mix(tuple(head["mix"]["cuts"]), tuple(head["mix"]["most"])),
        prices={name: _token_price(price) for name, price in head["models"].items()},
        seen=found["seen"],
        report=_point(head["report"]),
        overview=_overview(head.get("overview")),
        cascade=head.get("kind") == "cascade",
    )


def _certificate(head: Mapping[str, Any]) -> Certificate:
    return Certificate(
        verdict=Verdict(head["verdict"]),
        promise=Promise(**{**head["promise"], "bound": Bound(head["promise"]["bound"])}),
        strong=head["strong"],
        models=tuple(head["models"]),
        tested=head["tested"],
        chosen=_point(head["chosen"]),
        needed=head["needed"],
        curve=tuple(point for one in head["curve"] if (point := _point(one)) is not None),
    )


def _point(found: Mapping[str, Any] | None) -> Point | None:
    return Point(**{**found, "pairs": Pairs(**found["pairs"])}) if found else None


def _overview(found: Mapping[str, Any] | None) -> Overview | None:
    if not found:
        return None
    return Overview(tuple(Line(**line) for line in found["lines"]), tuple(Spot(**spot) for spot in found["spots"]))


def _token_price(found: Mapping[str, str] | None) -> TokenPrice | None:
    if found is None:
        return None
    return TokenPrice(Decimal(found["input_usd_per_token"]), Decimal(found["output_usd_per_token"]))


def _model(head: Mapping[str, Any], found: Mapping[str, Any]) -> Model:
    return Model(
        models=tuple(head["models"]),
        routes={route: at for at, route in enumerate(head["routes"])},
        shrunk=found["shrunk"],
        surface_mean=found["surface_mean"],
        surface_spread=found["surface_spread"],
        weights=Weights(*(found[f"weights_{name}"] for name in ("constant", "routes", "surface", "words"))),
        shrunk_weight=head.get("shrunk_weight", 0.5),
        usd_fixed=found["usd_fixed"],
        usd_per_char=found["usd_per_char"],
    )
