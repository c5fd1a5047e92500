"""`fivelevers fp8 recipe` and `manifest`: make an FP8 checkpoint, and write down what it is."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fivelevers.cli.fp8_told import config_of, json_of, told
from fivelevers.cli.logs import AsJson, progress
from fivelevers.errors import QuantizationError
from fivelevers.levers.quantization.checkpoint import scheme_of
from fivelevers.levers.quantization.recipe import MADE_WITH, REQUIREMENTS, refusal, script
from fivelevers.stores import checkpoint
from fivelevers.stores.checkpoint import Manifest

_STDERR = 2

Folder = Annotated[Path, typer.Argument(help="The folder of a checkpoint.")]


def recipe(
    model: Annotated[str, typer.Argument(help="The original: a folder, or a model's name on the hub.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="The folder of the new checkpoint.")],
    python: Annotated[str, typer.Option("--run", help="Run it now, by the Python that has llm-compressor.")] = "",
) -> None:
    """Write the script that quantises a model to FP8_DYNAMIC, and run it where --run names a Python.

    llm-compressor wants an environment of its own: its versions and vLLM's exclude each other. Weights are scaled per
    channel, activations per token while serving; lm_head and the routers of mixtures of experts stay as they are. No
    calibration texts.

    Exit code 0: written, and made where --run was given; 2: could not run.
    """
    with told("recipe"):
        source = Path(model)
        if source.is_dir() and (why := refusal(config_of(source))) is not None:
            raise QuantizationError(f"{model}: {why}")
        if checkpoint.NAME in (file.name for file in out.glob("*")):
            raise QuantizationError(f"{out}: holds a checkpoint with a manifest; name another --out, or remove it")
        out.parent.mkdir(parents=True, exist_ok=True)
        file = out.with_name(f"{out.name}.recipe.py")
        file.write_text(script(model, str(out)), encoding="utf-8")
        if not python:
            _say(_steps(file, model, out))
            return
        _run(python, file)
        _say(f"Made: {out}, sha256 {_written(out, model).sha256[:12]}. Next: fivelevers fp8 serve {out}")


def manifest(
    folder: Folder,
    *,
    source: Annotated[str, typer.Option(help="What it was made from; writes the manifest of a new checkpoint.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write a checkpoint's manifest, or hold the files against the one that is there.

    Exit code 0: written, or nothing has changed; 1: something has; 2: could not run.
    """
    with told("manifest"):
        if source:
            made, why = _written(folder, source), None
        else:
            made = checkpoint.read(folder)
            why = checkpoint.problem(made, _hashes(folder))
        if as_json:
            print(json.dumps(json_of(folder / checkpoint.NAME) | {"problem": why}, indent=1))  # noqa: T201
        else:
            _say(f"{folder}: {made.scheme}, from {made.source}, {len(made.files)} files, sha256 {made.sha256}")
            if why is not None:
                _say(f"No: {why}")
        raise typer.Exit(0 if why is None else 1)


def _steps(file: Path, model: str, out: Path) -> str:
    wanted = " ".join(f"'{name}'" for name in REQUIREMENTS)
    return "\n".join([
        f"Written: {file}. In an environment of its own:",
        f"  python3 -m venv compressor && compressor/bin/pip install {wanted}",
        f"  compressor/bin/python {file}",
        f"  fivelevers fp8 manifest {out} --source {model}",
    ])  # fmt: skip


def _run(python: str, file: Path) -> None:
    """What it prints goes to stderr. Raises QuantizationError."""
    try:
        done = subprocess.run([python, str(file)], stdout=_STDERR, check=False)  # noqa: S603
    except OSError as error:
        raise QuantizationError(f"--run: {python} can not be started: {error.strerror}") from error
    if done.returncode:
        lacks = f"{python} -m pip install {' '.join(REQUIREMENTS)}"
        raise QuantizationError(f"{file}: ended with {done.returncode}; what it needs: {lacks}")


def _written(folder: Path, source: str) -> Manifest:
    files, origin = _hashes(folder), Path(source)
    used = folder / MADE_WITH
    made = Manifest(
        sha256=checkpoint.whole(files),
        scheme=scheme_of(config_of(folder)).name,
        source=source,
        files=files,
        source_sha256=checkpoint.whole(_hashes(origin)) if origin.is_dir() else None,
        made_with={str(name): str(version) for name, version in json_of(used).items()} if used.exists() else {},
    )
    checkpoint.write(folder, made)
    return made


def _hashes(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise QuantizationError(f"{folder}: is no folder; name that of a checkpoint")
    with progress(f"reading {folder.name}", checkpoint.size_of(folder)) as read:
        return checkpoint.hashes(folder, read)


def _say(line: str) -> None:
    Console(highlight=False).print(line, markup=False, soft_wrap=True)
