"""Every shape of an export gives the same lines, and what can not be read is named with its place."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from fivelevers.errors import ExportError
from fivelevers.metering.exports.lines import Export
from fivelevers.prices import Kind
from fivelevers.providers.cost_exports.read import Format, read
from tests.unit.providers.exported import EXAMPLES, GPT, GPT_USD, HAIKU, HAIKU_USD, example, tokens, usd


def days(export: Export) -> tuple[str, str]:
    start, until = (str(datetime.fromtimestamp(at, UTC).date()) for at in (export.start, export.until))
    return start, until


@pytest.mark.parametrize("name", ["openai_usage.json", "openai_usage.csv"])
def test_openai_usage(name: str) -> None:
    export = example(name)
    assert tokens(export) == GPT
    assert (export.provider, export.tokens, export.usd) == ("openai", True, False)
    assert days(export) == ("2026-11-20", "2026-11-23"), "an empty day is covered too"
    assert export.keys == {"key_proxy", "proj_desk"}


@pytest.mark.parametrize("name", ["openai_costs.json", "openai_costs.csv"])
def test_openai_costs(name: str) -> None:
    export = example(name)
    assert usd(export) == GPT_USD
    assert [(charge.what, charge.usd) for charge in export.charges] == [("web search tool calls", Decimal("0.1"))]
    assert days(export) == ("2026-11-20", "2026-11-23")
    assert export.usd


def test_a_cost_export_has_tokens_where_it_has_quantities() -> None:
    with_quantities, without = example("openai_costs.json"), example("openai_costs.csv")
    assert (tokens(with_quantities), with_quantities.tokens, with_quantities.quantities) == (GPT, True, True)
    assert (tokens(without), without.tokens) == ({}, False)


@pytest.mark.parametrize(
    ("item", "model", "kind"),
    [
        ("priority | gpt-5, output, long context", "gpt-5", Kind.OUTPUT),
        ("gpt-5.6, cache writes", "gpt-5.6", Kind.CACHE_WRITE_5M),
        ("ft:gpt-4.1:acme::a1, input", "ft:gpt-4.1:acme::a1", Kind.INPUT),
    ],
)
def test_line_items(item: str, model: str, kind: Kind) -> None:
    (line,) = read(openai_costs({"line_item": item}), "costs.json").lines
    assert (line.model, line.kind) == (model, kind)


def test_costs_that_are_not_grouped_name_no_model() -> None:
    (line,) = read(openai_costs({"line_item": None}), "costs.json").lines
    assert (line.model, line.kind, line.usd) == (None, None, Decimal("0.5"))


def openai_costs(fields: dict[str, object], currency: str = "usd") -> bytes:
    result = {"amount": {"value": 0.5, "currency": currency}, **fields}
    return json.dumps({"data": [{"start_time": 0, "end_time": 86400, "results": [result]}]}).encode()


def test_cache_writes_are_part_of_openais_input() -> None:
    counts = {"input_tokens": 100, "input_cached_tokens": 30, "input_cache_write_tokens": 20, "output_tokens": 5}
    page = {"data": [{"start_time": 0, "results": [counts | {"model": "gpt-5.6"}]}]}
    found = tokens(read(json.dumps(page).encode(), "usage.json"))
    assert [found["1970-01-01", "gpt-5.6", kind] for kind in Kind if kind is not Kind.CACHE_WRITE_1H] == [50, 30, 20, 5]


@pytest.mark.parametrize("name", ["anthropic_usage.json", "anthropic_usage.csv"])
def test_anthropic_usage(name: str) -> None:
    export = example(name)
    assert tokens(export) == HAIKU
    assert (export.provider, export.tokens, export.usd) == ("anthropic", True, False)
    assert days(export) == ("2026-11-20", "2026-11-22" if name.endswith("json") else "2026-11-21")


def test_anthropics_cost_report_is_in_cents() -> None:
    export = example("anthropic_costs.json")
    assert usd(export) == HAIKU_USD
    assert [(charge.what, charge.usd) for charge in export.charges] == [("web_search", Decimal("0.01"))]
    assert {line.rounding_usd for line in export.lines} == {Decimal(0)}


def test_the_consoles_costs_are_rounded_to_cents() -> None:
    export = example("anthropic_costs.csv")
    assert usd(export) == HAIKU_USD | {("2026-11-20", "claude-haiku-4-5", Kind.CACHE_WRITE_5M): Decimal("0.03")}
    assert {line.rounding_usd for line in export.lines} == {Decimal("0.005")}
    assert len(export.charges) == 1


def test_litellm_logs() -> None:
    export = example("litellm_spend_logs.jsonl")
    assert tokens(export) == GPT | HAIKU, "hits of its answer cache are on no bill"
    assert {(line.provider, line.model): line.usd for line in export.lines if line.usd} == {
        ("openai", "gpt-4.1"): Decimal("0.51"),
        ("openai", "gpt-4.1-mini"): Decimal("0.036"),
        ("anthropic", "claude-haiku-4-5-20251001"): Decimal("0.145"),
    }
    assert export.provider is None


def test_litellm_logs_are_the_same_as_csv_and_as_one_json_list() -> None:
    rows = [json.loads(line) for line in (EXAMPLES / "litellm_spend_logs.jsonl").read_text().splitlines()]
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(
        row | {"metadata": json.dumps(row["metadata"])} for row in rows if isinstance(row["metadata"], dict)
    )
    writer.writerows(row for row in rows if isinstance(row["metadata"], str))
    for data in (out.getvalue(), json.dumps(rows)):
        assert tokens(read(data.encode(), "logs")) == GPT | HAIKU


def test_pages_can_be_in_one_file_and_a_missing_one_is_noticed() -> None:
    pages = [json.loads((EXAMPLES / "openai_usage.json").read_text()) for _ in range(2)]
    assert tokens(read(json.dumps(pages).encode(), "pages.json")) == {cell: 2 * count for cell, count in GPT.items()}
    assert read(json.dumps(pages[0] | {"has_more": True}).encode(), "page.json").cut
    assert not read(json.dumps(pages[0]).encode(), "page.json").cut


def test_separators_of_spreadsheets_and_a_byte_order_mark() -> None:
    text = (EXAMPLES / "anthropic_usage.csv").read_text()
    assert tokens(read(text.replace(",", ";").encode("utf-8-sig"), "usage.csv")) == HAIKU


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "export: None holds no rows"),
        (b"a,b\n1,2\n", "'a, b' are fields of no known export; name it with --format"),
        (b'{"start_time": 0}\n{"start_time"', "bad:2: export: None is no JSON"),
        (b"[7]", "export: 7 is not a JSON object"),
        (b"start_time,input_tokens\n0,many\n", "bad:2: input_tokens: 'many' is not a number"),
        (b"start_time,input_tokens\n0,1.5\n", "input_tokens: '1.5' is no count of tokens"),
        (b"start_time,input_tokens,input_cached_tokens\n0,10,20\n", "input_tokens: 10 is less than its cached part"),
        (b"start_time,input_tokens\nyesterday,10\n", "start_time: 'yesterday' is neither seconds nor an ISO date"),
        (b"start_time,input_tokens\n,10\n", "start_time: None is missing"),
        (b"start_time,amount_value\n0,NaN\n", "amount_value: 'NaN' is not a number"),
        (openai_costs({}, currency="eur"), "amount_currency: 'eur' is not usd"),
        (b'{"startTime": 0, "spend": 1, "metadata": "{"}', "metadata: '{' is no JSON"),
    ],
)
def test_what_can_not_be_read_is_named(data: bytes, said: str) -> None:
    with pytest.raises(ExportError) as raised:
        read(data, "bad")
    assert said in str(raised.value)


def test_the_format_can_be_said() -> None:
    assert example("openai_usage.csv", Format.OPENAI).provider == "openai"
    with pytest.raises(ExportError, match="starting_at"):
        example("openai_usage.csv", Format.ANTHROPIC)
