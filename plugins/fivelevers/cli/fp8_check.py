"""`fivelevers fp8 check`: can this hardware multiply in FP8, does the model fit, does the effort return."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.text import Text

from fivelevers.cli.fp8_told import config_of, told
from fivelevers.cli.logs import AsJson
from fivelevers.cli.tables import table
from fivelevers.errors import QuantizationError
from fivelevers.levers.quantization.checkpoint import BF16, Scheme, Shape, scheme_of, shape_of
from fivelevers.levers.quantization.hardware import GIB, Fit, Gpu, Returns, Support, fit, returns, supported

Model = Annotated[Path | None, typer.Argument(help="A checkpoint's folder, or its config.json.", show_default=False)]
Context = Annotated[int, typer.Option(min=1, help="Tokens of a sequence.")]
Concurrency = Annotated[int, typer.Option(min=1, help="Sequences at once.")]
Gpus = Annotated[int, typer.Option(min=1, help="GPUs that one replica is spread over.")]
_ASKED = "name,compute_cap,memory.total,driver_version"
_REMOTE = "or describe the host with --gpu, --compute-capability and --memory-gib"


@dataclass(frozen=True, slots=True)
class Checked:
    """``fits``: BF16 and FP8; empty where no model was named. ``problems``: why not to go on; ``warnings``: beware."""

    gpu: Gpu
    support: Support
    why: str
    scheme: Scheme
    fits: dict[str, Fit]
    returns: Returns | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def check(
    model: Model = None,
    *,
    gpu: Annotated[str, typer.Option(help="The GPU of another host, by name.")] = "",
    compute_capability: Annotated[str, typer.Option(help="Of that GPU, such as 8.9.")] = "",
    memory_gib: Annotated[float, typer.Option(min=0, help="Of that GPU.")] = 0.0,
    driver: Annotated[str, typer.Option(help="Its driver's version.")] = "",
    gpus: Gpus = 1,
    context: Context = 8192,
    concurrency: Concurrency = 16,
    weights_gib: Annotated[float, typer.Option(min=0, help="In BF16, where there is no config.json.")] = 0.0,
    kv_kib_per_token: Annotated[float, typer.Option(min=0.1, help="With --weights-gib; 128 is Llama 8B's.")] = 128.0,
    provider: Annotated[str, typer.Option(help="Who serves the model, where it is not you.")] = "",
    gpu_hour_usd: Annotated[float, typer.Option(min=0, help="Of one GPU. With the next three: does it pay?")] = 0.0,
    load_per_s: Annotated[float, typer.Option(min=0, help="Requests a second at the peak.")] = 0.0,
    bf16_per_s: Annotated[float, typer.Option(min=0, help="Requests a second that a BF16 replica bears.")] = 0.0,
    fp8_per_s: Annotated[float, typer.Option(min=0, help="The same of an FP8 replica, measured.")] = 0.0,
    utilisation: Annotated[float, typer.Option(min=0.01, max=1, help="Of that, the share that is had.")] = 0.5,
    effort_usd: Annotated[float, typer.Option(min=0, help="What making, proving and serving it costs you.")] = 5000.0,
    as_json: AsJson = False,
) -> None:
    """Whether FP8 can help here: by the GPU, the memory, and the money.

    Asks nvidia-smi, or takes a remote host from flags. From compute capability 8.9 on GPUs multiply in FP8; from 7.5
    on only the weights shrink; below, no. BF16 stays beside FP8, as what to go back to, so room for both is shown.

    Exit code 0: go on; 1: FP8 is not for this; 2: could not run.
    """
    with told("check"):
        if provider:
            _say(f"{provider} serves the model: there is nothing of yours to quantise. Levers 1 to 4 are what is left.")
            raise typer.Exit(1)
        found = _gpu(gpu, compute_capability, memory_gib, driver)
        shape, scheme = _shape(model, weights_gib, kv_kib_per_token)
        fits = {} if shape is None else _fits(shape, found, gpus, context, concurrency)
        rates = (load_per_s, bf16_per_s, fp8_per_s, gpu_hour_usd)
        if any(rates) and not all(rates):
            raise QuantizationError("--gpu-hour-usd, --load-per-s, --bf16-per-s, --fp8-per-s: write all four, or none")
        pays = None
        if all(rates):
            hour = gpu_hour_usd * gpus
            pays = returns(
                load_per_s, bf16_per_s, fp8_per_s, gpu_hour_usd=hour, utilisation=utilisation, effort_usd=effort_usd
            )
        made = _checked(found, scheme, fits, pays, concurrency)
        print(json.dumps(_record(made), indent=1)) if as_json else Console(highlight=False).print(_told(made))  # noqa: T201
        raise typer.Exit(1 if made.problems else 0)


def _gpu(name: str, capability: str, memory_gib: float, driver: str) -> Gpu:
    if not (name or capability or memory_gib):
        return _local()
    if not (capability and memory_gib):
        raise QuantizationError("--compute-capability, --memory-gib: write both for a GPU of another host")
    return Gpu(name or "GPU", _capability(capability), memory_gib, driver)


def _capability(text: str) -> tuple[int, int]:
    major, _, minor = text.strip().partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise QuantizationError(f"--compute-capability: {text!r} is none; write one such as 8.9")
    return int(major), int(minor)


def _local() -> Gpu:
    """The first GPU of this machine."""
    command = ["nvidia-smi", f"--query-gpu={_ASKED}", "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout  # noqa: S603
    except FileNotFoundError as error:
        raise QuantizationError(f"nvidia-smi: is not here; run this on the GPU's host, {_REMOTE}") from error
    except (subprocess.SubprocessError, OSError) as error:
        raise QuantizationError(f"nvidia-smi: {error}; mend the driver, {_REMOTE}") from error
    cells = [cell.strip() for cell in said.partition("\n")[0].split(",")]
    if len(cells) != 4 or not cells[2].replace(".", "", 1).isdigit():
        raise QuantizationError(f"nvidia-smi: said {said[:80]!r}, which names no GPU; {_REMOTE}")
    return Gpu(cells[0], _capability(cells[1]), float(cells[2]) / 1024, cells[3])


def _shape(model: Path | None, weights_gib: float, kv_kib: float) -> tuple[Shape | None, Scheme]:
    if model is None:
        sized = Shape(int(weights_gib * GIB / 2), 0, int(kv_kib * 512)) if weights_gib else None
        return sized, BF16
    config = config_of(model)
    try:
        return shape_of(config), scheme_of(config)
    except ValueError as error:
        raise QuantizationError(str(error)) from error


def _fits(shape: Shape, gpu: Gpu, gpus: int, context: int, concurrency: int) -> dict[str, Fit]:
    sizes = {"BF16": shape.bf16_bytes, "FP8": shape.fp8_bytes}
    return {
        name: fit(size, shape, gpu, gpus=gpus, context=context, concurrency=concurrency) for name, size in sizes.items()
    }


def _checked(gpu: Gpu, scheme: Scheme, fits: dict[str, Fit], pays: Returns | None, concurrency: int) -> Checked:
    able = supported(gpu)
    problems, warnings = list[str](), list[str]()
    if able.support is Support.NONE:
        problems.append(able.why)
    if able.support is Support.WEIGHTS:
        warnings.append(able.why)
    if scheme.warning:
        warnings.append(scheme.warning)
    if scheme != BF16:
        warnings.append(f"the checkpoint is quantised already ({scheme.name}): the recipe takes the original")
    if "FP8" in fits and not fits["FP8"].fits:
        room = fits["FP8"].sequences
        problems.append(f"FP8 holds {room} sequences of that context, not {concurrency}: more GPUs, or less of either")
    if "BF16" in fits and not fits["BF16"].fits:
        warnings.append("BF16 does not fit at that load: what you go back to takes more GPUs, or fewer sequences")
    if pays is not None and pays.usd_a_month <= 0:
        replicas = f"{pays.before} replicas before, {pays.after} after"
        problems.append(f"it does not pay: the load takes as many GPUs as before ({replicas})")
    return Checked(gpu, able.support, able.why, scheme, fits, pays, tuple(problems), tuple(warnings))


def _record(made: Checked) -> dict[str, Any]:
    fits = {name: asdict(one) | {"fits": one.fits} for name, one in made.fits.items()}
    pays = None
    if made.returns is not None:
        never = made.returns.usd_a_month <= 0
        pays = asdict(made.returns) | ({"months": None} if never else {})
    return {
        "gpu": asdict(made.gpu),
        "support": made.support.value,
        "why": made.why,
        "scheme": made.scheme.name,
        "memory": fits,
        "returns": pays,
        "problems": list(made.problems),
        "warnings": list(made.warnings),
    }


def _told(made: Checked) -> RenderableType:
    parts: list[RenderableType] = [Text(f"{made.why}{f'; driver {made.gpu.driver}' if made.gpu.driver else ''}")]
    if made.fits:
        shown = table("Memory of one GPU, in GiB", "weights in", "weights", "KV cache", "of", "sequences", "fits")
        for name, one in made.fits.items():
            cells = (f"{one.weights_gib:,.1f}", f"{one.kv_gib:,.1f}", f"{one.memory_gib:,.1f}", f"{one.sequences:,}")
            shown.add_row(name, *cells, "yes" if one.fits else "no")
        parts.append(shown)
    if made.returns is not None and made.returns.usd_a_month > 0:
        pays = made.returns
        replicas = f"{pays.before} replicas become {pays.after}"
        parts.append(
            Text(f"{replicas}: ${pays.usd_a_month:,.0f} a month; the effort is back in {pays.months:.1f} months")
        )
    parts += [Text(f"Beware: {one}.", style="yellow") for one in made.warnings]
    parts += [Text(f"No: {one}.", style="red") for one in made.problems]
    if not made.problems:
        parts.append(Text(f"Next: fivelevers fp8 {'recipe MODEL' if made.scheme == BF16 else 'serve FOLDER'}"))
    return Group(*parts)


def _say(line: str) -> None:
    Console(highlight=False).print(line, markup=False, soft_wrap=True)
