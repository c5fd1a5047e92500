"""Levers that came in by the door and do harm: the guard calls them back on the real proxy, as the demo shows it."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from fivelevers.cli.demo_retreat import Scene, dear_model
from fivelevers.cli.report_reading import read_lines
from fivelevers.metering.attribution import WasteKind
from fivelevers.metering.interval import CostPerSuccess
from fivelevers.metering.report import GroupBy, Line
from tests.wire.proxy import Proxy

ROOT = Path(__file__).parents[2]


def arms(proxy: Proxy, route: str) -> dict[str, Line]:
    lines = read_lines(proxy.stack.state_dir, proxy.stack.ledger_url, GroupBy.ARM, 0.0)
    return {line.group.removeprefix(f"{route}: "): line for line in lines if line.group.startswith(route)}


def wasted(line: Line, kind: WasteKind) -> Decimal:
    return next(waste.usd for waste in line.waste if waste.kind is kind)


def test_a_model_at_half_the_price_that_needs_four_calls_goes_back_to_shadow(quiet: Proxy) -> None:
    console = Console(file=io.StringIO(), width=200)
    told = console.file
    assert isinstance(told, io.StringIO)
    assert dear_model(Scene(quiet.stack, quiet.policy.parent, ROOT, console)), told.getvalue()
    found = arms(quiet, "invoices")
    treated, control = found["routing"], found["holdout"]
    assert treated.usd_per_million_tokens is not None
    assert control.usd_per_million_tokens is not None
    assert treated.usd_per_million_tokens < Decimal("0.6") * control.usd_per_million_tokens
    assert isinstance(treated.cost_per_success, CostPerSuccess)
    assert isinstance(control.cost_per_success, CostPerSuccess)
    assert treated.cost_per_success.low_usd > Decimal("1.5") * control.cost_per_success.high_usd
    # Of four answers three are wrong, each of which is paid for.
    share = wasted(treated, WasteKind.FAILED_REQUEST) / treated.totals.cost
    assert Decimal("0.7") < share < Decimal("0.8")
    assert wasted(control, WasteKind.FAILED_REQUEST) < Decimal("0.05") * control.totals.cost
    assert "the guard put it back to shadow (a successful output costs" in " ".join(told.getvalue().split())
