"""How `fivelevers route` ends where it can not run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from fivelevers.errors import FiveLeversError

_INSTALL = "pip install 'fivelevers[routing]'"


@contextmanager
def told(command: str) -> Iterator[None]:
    """What can not run says why, and ends with 2."""
    try:
        yield
    except (FiveLeversError, OSError) as error:
        told = str(error)
    except ModuleNotFoundError as error:
        told = f"{error.name} is not installed; {_INSTALL}"
    else:
        return
    Console(stderr=True, highlight=False).print(f"fivelevers route {command}: {told}", markup=False, soft_wrap=True)
    raise typer.Exit(2)
