"""How a plan looks in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fivelevers.adoption import Known, Step, refusal
from fivelevers.cli.savings import in_words
from fivelevers.cli.tables import table
from fivelevers.order import LEVERS, Mode

_SHORT = "That is less than a day of traffic: take the figures of a month as a hint alone."
_NUMBER = {lever.name: lever.number for lever in LEVERS}


def plan_tables(planned: Mapping[str, tuple[tuple[Known, ...], Step | None]], *, short: bool = False) -> RenderableType:
    """``short``: the ledger has less than a day of traffic."""
    parts: list[RenderableType] = []
    for name, (known, step) in planned.items():
        parts += [_table(name, known), *_next(name, known, step), Text()]
    if short:
        parts.append(Text(_SHORT))
    return Group(*parts)


def _table(name: str, known: tuple[Known, ...]) -> Table:
    shown = table(f"Route {name}", "lever", "state", "saves a month", "how it is known")
    shown.columns[3].justify, shown.columns[3].no_wrap = "left", False
    for one in known:
        saving = "-" if one.saving is None else in_words(one.saving)
        how = one.told if one.saving is None else f"{one.basis.value}; {one.told}"
        shown.add_row(f"{_NUMBER[one.lever]} {one.lever}", _state(one), saving, how)
    return shown


def _state(one: Known) -> Text:
    if one.retreated is not None:
        return Text("retreated", style="red")
    if one.off is not None:
        return Text("switched off", style="red")
    part = f" {one.percent:g} %" if one.mode is Mode.ON and one.percent < 100 else ""
    return Text(f"{one.mode.value}{part}", style="green" if one.settled else "")


def _next(name: str, known: tuple[Known, ...], step: Step | None) -> Iterator[Text]:
    if step is None:
        yield Text("Nothing is left to do: every lever is on for all sessions, or settled.")
        return
    said = Text(f"Next: {step.lever}: ", style="bold")
    yield said.append(f"{step.what}.", style="not bold")
    if step.saving is not None:
        acts = next(one for one in known if one.lever == step.lever).mode is Mode.ON
        verb = "saves" if not acts or not step.change else "saves, more than now,"
        yield Text(f"  {verb} {in_words(step.saving)} a month ({step.basis.value})")
    for key, value in step.change.items():
        old = next(one for one in known if one.lever == step.lever)
        before = old.mode.value if key == "mode" else f"{old.percent:g}"
        after = value.value if isinstance(value, Mode) else f"{value:g}"
        if before != after:
            yield Text(f"  routes.{name}.levers.{step.lever}.{key}: {before} -> {after}")
    if step.command:
        yield Text(f"  {'then ' if step.change else ''}$ {step.command}")
    later, why = refusal(known)
    if later:
        names = ", ".join(f"{_NUMBER[lever]} {lever}" for lever in later)
        yield Text(f"Not yet {names}: {why}.", style="dim")
