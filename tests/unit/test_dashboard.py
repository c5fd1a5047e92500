"""The Grafana dashboard asks for metrics and labels that the code exports, and can be imported."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter, Gauge, Histogram

from fivelevers import metrics

BOARD: dict[str, Any] = json.loads((Path(__file__).parents[2] / "examples/dashboards/fivelevers.json").read_text())
EXPRESSIONS = [(panel["title"], target) for panel in BOARD["panels"] for target in panel.get("targets", [])]
_SUFFIXES: dict[type, tuple[str, ...]] = {Counter: ("_total",), Gauge: ("",), Histogram: ("_bucket", "_sum", "_count")}
# A metric with its matchers, and the labels that an aggregation keeps.
METRIC = re.compile(r"(fivelevers_\w+)(?:\{([^}]*)\})?")
KEPT = re.compile(r"\bby \(([^)]*)\)")


def exported() -> Iterator[tuple[str, set[str]]]:
    for metric in vars(metrics).values():
        if isinstance(metric, (Counter, Gauge, Histogram)):
            for suffix in _SUFFIXES[type(metric)]:
                labels = {*metric._labelnames, *(["le"] if suffix == "_bucket" else [])}
                yield f"{metric._name}{suffix}", labels


EXPORTED = dict(exported())


def problems(expression: str, legend: str) -> list[str]:
    """What an expression and its legend name that is not there."""
    found, known = [], set[str]()
    for name, matchers in METRIC.findall(expression):
        if name not in EXPORTED:
            found.append(name)
            continue
        known |= EXPORTED[name]
        found += [f"{name}.{label}" for label in re.findall(r"(\w+)\s*[=!]", matchers) if label not in EXPORTED[name]]
    kept = {label.strip() for labels in KEPT.findall(expression) for label in labels.split(",")}
    found += sorted(kept - known)
    return found + sorted(set(re.findall(r"\{\{(\w+)\}\}", legend)) - kept)


@pytest.mark.parametrize(("title", "target"), EXPRESSIONS, ids=[title for title, _ in EXPRESSIONS])
def test_a_panel_shows_what_is_exported(title: str, target: dict[str, Any]) -> None:
    assert METRIC.search(target["expr"]), title
    assert problems(target["expr"], target["legendFormat"]) == []


def test_a_wrong_name_or_label_is_found() -> None:
    assert problems("sum(rate(fivelevers_cost_total[5m]))", "") == ["fivelevers_cost_total"]
    assert problems('fivelevers_cost_usd_total{user="x"}', "") == ["fivelevers_cost_usd_total.user"]
    assert problems("sum by (reason) (fivelevers_cost_usd_total)", "{{lever}}") == ["reason", "lever"]


def test_the_variable_asks_for_a_label_that_is_exported() -> None:
    (variable,) = BOARD["templating"]["list"]
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]
    assert label in EXPORTED[metric]


def test_it_can_be_imported_with_any_prometheus() -> None:
    assert BOARD["schemaVersion"] == 39
    assert [entry["name"] for entry in BOARD["__inputs"]] == ["DS_PROMETHEUS"]
    sources = [panel["datasource"]["uid"] for panel in BOARD["panels"] if panel["type"] != "row"]
    assert set(sources) == {"${DS_PROMETHEUS}"}
    assert BOARD["id"] is None


def test_panels_have_names_of_their_own_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
