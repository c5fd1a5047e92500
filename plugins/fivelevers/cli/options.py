"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

STATE_DIR = Path(".fivelevers")
StateDir = Annotated[
    Path, typer.Option("--state-dir", envvar="FIVELEVERS_STATE_DIR", help="Where the stack keeps its files and logs.")
]
