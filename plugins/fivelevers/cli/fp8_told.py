"""How `fivelevers fp8` ends where it can not run, and what its commands share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from fivelevers.errors import FiveLeversError, QuantizationError

_INSTALL = "pip install 'fivelevers[quantization]'"


@contextmanager
def told(command: str) -> Iterator[None]:
    """What can not run says why, and ends with 2."""
    try:
        yield
    except (FiveLeversError, OSError) as error:
        why = str(error)
    except ModuleNotFoundError as error:
        why = f"{error.name} is not installed; {_INSTALL}"
    else:
        return
    Console(stderr=True, highlight=False).print(f"fivelevers fp8 {command}: {why}", markup=False, soft_wrap=True)
    raise typer.Exit(2)


def config_of(model: Path) -> dict[str, Any]:
    """The checkpoint's config.json; ModelOpt's own file stands in for what it leaves out. Raises QuantizationError."""
    file = model / "config.json" if model.is_dir() else model
    found = json_of(file)
    other = file.with_name("hf_quant_config.json")
    return found | json_of(other) if other.exists() else found


def json_of(file: Path) -> dict[str, Any]:
    """Raises QuantizationError where it is no JSON object, or can not be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise QuantizationError(f"{file}: can not be read as JSON ({error})") from error
    if not isinstance(found, dict):
        raise QuantizationError(f"{file}: is no JSON object")
    return found
