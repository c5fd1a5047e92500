"""What `fivelevers check` says of lever 5: registrations that let nothing pass, and groups that do not hold what they
say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fivelevers.errors import Problem
from fivelevers.levers.quantization.deployments import registration_of, unpriced
from fivelevers.levers.quantization.standing import unfit
from fivelevers.levers.routing.deployments import NAME, name_of, names_of
from fivelevers.order import Mode
from fivelevers.policy.globs import compiled

if TYPE_CHECKING:
    from fivelevers.cli.check_routing import Groups
    from fivelevers.policy import Policy, Route
    from fivelevers.stores.registrations import Registered

_GATE = "prove it with `fivelevers fp8 gate`"
_REGISTER = "write it with `fivelevers fp8 register`"


def quantization_problems(policy: Policy, folder: Path, groups: Groups) -> Iterator[tuple[str, Problem]]:
    """("error" or "warning", problem). ``folder``: of the policy file. ``groups``: of LiteLLM's config, may be empty.

    An error: the lever is on, and its registration does not allow it.
    """
    from fivelevers.stores.registrations import load

    for route in policy.routes:
        switch = route.levers.quantization
        if switch.mode not in (Mode.ON, Mode.SHADOW):
            continue
        place = f"routes.{route.name}.levers.quantization"
        if switch.registration is None:
            rule = "has no registration: nothing is decided, the original alone answers"
            yield "warning", Problem(f"{place}.mode", switch.mode.value, rule, _GATE)
            continue
        loaded = load(folder / switch.registration)
        if loaded.problem is not None:
            rule = f"does not hold, the original alone answers: {loaded.problem}"
            kind = "error" if switch.mode is Mode.ON else "warning"
            yield kind, Problem(f"{place}.registration", switch.registration, rule, _GATE)
        else:
            yield from (("warning", problem) for problem in _of_groups(route, place, loaded, groups))


def _of_groups(route: Route, place: str, loaded: Registered, groups: Groups) -> Iterator[Problem]:
    matches = compiled(route.match.model or "*").match
    mine = {alias: rows for alias, rows in groups.items() if matches(alias) is not None}
    holding = {alias: rows for alias, rows in mine.items() if any(map(registration_of, rows))}
    if groups and not any(registration_of(row) == loaded.name for rows in mine.values() for row in rows):
        rule = "is that of no deployment on this route"
        yield Problem(f"{place}.registration", route.levers.quantization.registration, rule, _REGISTER)
    for alias, rows in holding.items():
        yield from _of_group(alias, rows, loaded)
        if route.levers.routing.artifact is not None:
            yield from _of_lever_4(alias, rows)


def _of_lever_4(alias: str, rows: list[Mapping[str, Any]]) -> Iterator[Problem]:
    """A quantised deployment that is another model to lever 4 than each original never has any traffic of its."""
    originals = frozenset[str]().union(*(names_of(row) for row in rows if registration_of(row) is None))
    for row in rows:
        if registration_of(row) is not None and not names_of(row) & originals:
            rule = f"has a quantised deployment of {name_of(row)}, which lever 4 knows as none of its originals"
            yield Problem("model_list", alias, rule, f"write the original's name into its model_info.{NAME}")


def _of_group(alias: str, rows: list[Mapping[str, Any]], loaded: Registered) -> Iterator[Problem]:
    originals = [row for row in rows if registration_of(row) is None]
    if not originals:
        yield Problem("model_list", alias, "has no original beside the quantised model", "keep one in the group")
    if unpriced(originals):
        rule = "has an original without a price: LiteLLM takes it for free, and every saving for a loss"
        yield Problem("model_list", alias, rule, "state input_cost_per_token and output_cost_per_token for it")
    for row in rows:
        if registration_of(row) is not None and loaded.found is not None:
            why = unfit(row, loaded.found, loaded.name, loaded.found.candidate)  # the server itself is not asked here
            if why is not None:
                yield Problem("model_list", alias, f"has a quantised deployment without traffic: {why}", _REGISTER)
