"""`fivelevers down`: stop what `fivelevers up` started."""

import os
import signal
import time
from contextlib import suppress

import typer

from fivelevers.cli.options import STATE_DIR, StateDir
from fivelevers.embedded.claim import holder

# Each of four processes may take its grace period.
_LIMIT_S = 60.0
_POLL_S = 0.1


def down(state_dir: StateDir = STATE_DIR) -> None:
    """Stop a running stack and wait until it is gone. Exit code 1: there was none."""
    pid = holder(state_dir)
    if pid is None:
        typer.echo(f"no stack runs in {state_dir}")
        raise typer.Exit(1)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _LIMIT_S
    while holder(state_dir) is not None:
        if time.monotonic() > deadline:
            typer.echo(
                f"the stack in {state_dir} (pid {pid}) did not stop within {_LIMIT_S:g} s: kill -9 {pid}", err=True
            )
            raise typer.Exit(2)
        time.sleep(_POLL_S)
    typer.echo(f"stopped the stack in {state_dir}")
