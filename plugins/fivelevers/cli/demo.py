"""`fivelevers demo`: the whole stack, the example traffic, the report, and the ledger against the bill."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fivelevers.cli.demo_retreat import played
from fivelevers.cli.report_reading import read_lines
from fivelevers.cli.tables import reconciliation_table, report_table
from fivelevers.embedded.files import checkout
from fivelevers.embedded.interrupt import Interrupted, interruptible
from fivelevers.embedded.stack import Stack
from fivelevers.errors import FiveLeversError, StackError
from fivelevers.metering.report import GroupBy

_POLICY = "examples/traffic/fivelevers.yaml"  # the shipped one has every lever off
_BATCHES = ("--batch-seconds", "3")  # a provider takes minutes or hours
_POLLS = {"FIVELEVERS_LANE_POLL_S": "1"}  # and is asked after a quarter of a minute for the first time


def demo(
    *,
    speed: Annotated[float, typer.Option(help="How many times faster than recorded; 0: as fast as it goes.")] = 0.0,
    limit: Annotated[int | None, typer.Option(min=1, help="Replay only the first so many requests.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="LiteLLM worker processes; default: 1, with --retreat 2.")
    ] = None,
    retreat: Annotated[bool, typer.Option("--retreat", help="Instead: levers that do harm, and the guard.")] = False,
    keep: Annotated[bool, typer.Option(help="Keep the state directory (ledger, logs).")] = False,
) -> None:
    """Start everything, replay the example traffic, report what it cost, compare with the simulated bill, stop.

    With --retreat it shows how levers that do harm are called back (docs/report.md): a model at half the price that
    comes to need four calls, and a cache a tenth of whose hits come to be wrong. Its traffic is its own: --speed and
    --limit say nothing there.

    Exit code 0: the ledger agrees with the bill. 1: it does not, or requests failed, or a lever did not retreat.
    """
    console = Console(highlight=False)
    state_dir = Path(tempfile.mkdtemp(prefix="fivelevers-demo-"))
    try:
        with interruptible():
            if retreat:
                fine = played(state_dir, workers or 2, console)
            else:
                fine = _run(state_dir, speed, limit, workers or 1, console)
            keep = keep or not fine
    except Interrupted:
        console.print("stopped")
        raise typer.Exit(1) from None
    except FiveLeversError as error:
        keep = True
        Console(stderr=True, highlight=False).print(f"fivelevers demo: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from error
    finally:
        if keep:
            console.print(f"Ledger and logs are kept in {state_dir}")
        else:
            shutil.rmtree(state_dir, ignore_errors=True)
    raise typer.Exit(0 if fine else 1)


def _run(state_dir: Path, speed: float, limit: int | None, workers: int, console: Console) -> bool:
    from fivelevers.embedded import bill  # SQLAlchemy loads here: `fivelevers --help` shall not wait for it

    root = checkout()
    policy = root / _POLICY if root and not os.environ.get("FIVELEVERS_POLICY") else None
    stack = Stack(
        state_dir,
        workers=workers,
        policy=policy,
        simulator_args=_BATCHES,
        env=_POLLS,
        tell=lambda step: console.print(f"  {step}", style="dim"),
    )
    with stack:
        keys = stack.files.keys
        if root is None or keys is None:
            raise StackError("no example traffic here: run the demo in a checkout of fivelevers")
        console.print(f"Replaying examples/traffic through Envoy at {stack.envoy_url}")
        replay = [sys.executable, "-m", "examples.traffic", "--base-url", stack.envoy_url, "--keys", str(keys)]
        replay += ["--patient", "tickets", "--speed", str(speed), *(["--limit", str(limit)] if limit else [])]
        answered = subprocess.run(replay, cwd=root, check=False).returncode  # noqa: S603  our own interpreter and module
        told = bill.settled(stack.ledger_url, stack.simulator_url)
        console.print()
        console.print(report_table(read_lines(state_dir, stack.ledger_url, GroupBy.ROUTE, 0.0), GroupBy.ROUTE))
        console.print()
        console.print(reconciliation_table(told))
    return answered == 0 and told.agreed
