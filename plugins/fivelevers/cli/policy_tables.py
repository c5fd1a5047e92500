"""How the effective policy looks in a terminal of 80 columns."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fivelevers.order import LEVERS, Mode
from fivelevers.policy import Match, Policy, Route
from fivelevers.switch import Board, Switch

_HEADS = ("1 prompt", "2 semantic", "3 batch", "4 routing", "5 quantized")
_SHORT = {Mode.DOES_NOT_PAY: "not paying", Mode.NOT_APPLICABLE: "n/a"}


def policy_table(policy: Policy, board: Board) -> RenderableType:
    """What every route says once defaults and files are in, and what is switched off beside the policy."""
    levers = _table("Levers (mode, percent of the sessions outside the holdout)", "route", "holdout", *_HEADS)
    rules = _table("Routes, in order", "route", "matches", "tenant", "content", "repeats", "failure", "checks")
    for route in policy.routes:
        levers.add_row(route.name, f"{route.holdout:.1%}", *_levers(route, board))
        rules.add_row(*_rules(route))
    return Group(levers, rules, *_standing(board.standing))


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _levers(route: Route, board: Board) -> list[Text]:
    off, back = board.off(route.name), board.retreated(route.name)
    cells = []
    for lever in LEVERS:
        switch = route.levers.of(lever.name)
        text = f"on {switch.percent:g} %" if switch.mode is Mode.ON else _SHORT.get(switch.mode, switch.mode.value)
        out = lever.name in off and switch.mode in (Mode.ON, Mode.SHADOW)
        shadow = lever.name in back and switch.mode is Mode.ON
        style = "red" if out or shadow else "green" if switch.mode is Mode.ON else ""
        cells.append(Text(f"{text}, OFF" if out else f"{text}, SHADOW" if shadow else text, style=style))
    return cells


def _rules(route: Route) -> list[str]:
    share = f"{route.content_share:.0%}, " if route.content == "sample" else ""
    kept = "off" if route.content == "off" else f"{route.content}: {share}{route.retention_days} d"
    repeats = f"retry, {route.repeat_window_s:g} s" if route.repeat_means == "retry" else "nothing"
    checks = "\n".join(validator.kind for validator in route.validators) or "none"
    return [route.name, _matches(route.match), route.tenant, kept, repeats, f"${route.failure_cost_usd:g}", checks]


def _matches(match: Match) -> str:
    given = match.model_dump(exclude_none=True, exclude={"header"})
    words = [f"{name} {value}" for name, value in given.items()]
    words += [f"{name}: {value}" for name, value in match.header.items()]
    return "\n".join(words) or "the rest"


def _standing(standing: tuple[Switch, ...]) -> list[Text]:
    if not standing:
        return [Text("Nothing is switched off beside the policy.")]
    notes = [Text("Out of force, whatever the policy says (fivelevers resume lifts it):", style="red")]
    for switch in standing:
        why = f": {switch.reason}" if switch.reason else ""
        notes.append(
            Text(f"  route {switch.route}, lever {switch.lever}: {switch.action.value} by {switch.actor}{why}")
        )
    return notes
