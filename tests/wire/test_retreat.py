"""Levers that came in by the door and do harm: the guard calls them back on the real proxy, as the demo shows it."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

from rich.console import Console

from fivelevers.cli.demo_retreat import Scene, dear_model, wrong_cache
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


class Told:
    """A scene on the running proxy, and what it prints."""

    def __init__(self, proxy: Proxy) -> None:
        self._file = io.StringIO()
        self.scene = Scene(proxy.stack, proxy.policy.parent, ROOT, Console(file=self._file, width=200))

    @property
    def text(self) -> str:
        return " ".join(self._file.getvalue().split())


def cost_per_success(line: Line) -> CostPerSuccess:
    assert isinstance(line.cost_per_success, CostPerSuccess)
    return line.cost_per_success


def test_a_model_at_half_the_price_that_needs_four_calls_goes_back_to_shadow(quiet: Proxy) -> None:
    told = Told(quiet)
    assert dear_model(told.scene), told.text
    found = arms(quiet, "invoices")
    treated, control = found["routing"], found["no lever"]
    per_token, before = treated.usd_per_million_tokens, control.usd_per_million_tokens
    assert per_token is not None
    assert before is not None
    assert per_token < Decimal("0.8") * before  # at half the price; how long the answers are differs by chance
    assert cost_per_success(treated).low_usd > Decimal("1.5") * cost_per_success(control).high_usd
    # Of four answers three are wrong, each of which is paid for.
    share = wasted(treated, WasteKind.FAILED_REQUEST) / treated.totals.cost
    assert Decimal("0.7") < share < Decimal("0.8")
    assert wasted(control, WasteKind.FAILED_REQUEST) < Decimal("0.05") * control.totals.cost
    assert "the guard put it back to shadow (a successful output costs" in told.text


def test_a_cache_that_answers_wrongly_goes_back_to_shadow(quiet: Proxy) -> None:
    told = Told(quiet)
    assert wrong_cache(told.scene, holidays=0.3), told.text  # the more are wrong, the sooner it is seen
    found = arms(quiet, "halls")
    treated, control = found["semantic_cache"], found["no lever"]
    assert cost_per_success(treated).high_usd < cost_per_success(control).low_usd
    assert treated.totals.failures > 3 * control.totals.failures
    # What a wrong hit is said to have saved is waste: nearly all failures are such hits, and most answers are hits.
    spared = sum(usd for lever, basis, usd in treated.savings if (lever, basis) == ("semantic_cache", "estimated"))
    failed = treated.totals.failures / treated.totals.known
    assert 0.7 * failed < wasted(treated, WasteKind.WRONG_HIT) / spared < 2.5 * failed
    assert wasted(control, WasteKind.WRONG_HIT) == 0
    assert "the guard put it back to shadow (" in told.text
    assert "points fewer succeed" in told.text or "audited hits were wrong" in told.text
