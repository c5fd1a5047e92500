"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

STATE_DIR = Path(".fivelevers")
StateDir = Annotated[
    Path, typer.Option("--state-dir", envvar="FIVELEVERS_STATE_DIR", help="Where the stack keeps its files and logs.")
]
LedgerUrl = Annotated[
    str,
    typer.Option("--ledger", envvar="FIVELEVERS_LEDGER_URL", help="SQLAlchemy URL; default: SQLite in the state dir."),
]


def ledger_url(given: str, state_dir: Path) -> str:
    """The ledger's URL: the given one, else the one that the plugin uses by default."""
    return given or f"sqlite:///{state_dir.absolute()}/ledger.db"
