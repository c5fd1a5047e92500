"""`fivelevers reconcile` on exports of the simulated providers, against the ledger of the real proxy."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from fivelevers.cli import app
from tests.wire.proxy import CLAUDE, GPT, Proxy

PREFIX = "You are the assistant of Quillbarn, a maker of barns for quills. " * 120
Entry = dict[str, Any]


def traffic(proxy: Proxy) -> list[Entry]:
    """Calls with cache reads and both kinds of cache writes; their entries on the bill, once the ledger has them."""
    calls = [("chat", GPT, PREFIX), ("chat", GPT, PREFIX), ("responses", GPT, None), ("messages", CLAUDE, marked("5m"))]
    calls += [("messages", CLAUDE, marked("1h")), ("messages", CLAUDE, marked("1h"))]
    replies = [proxy.call(api, model, "What is 6 * 7?", system=system) for api, model, system in calls]
    return [proxy.billed(attempt) for reply in replies for attempt in proxy.attempts(reply.request_id)]


def marked(ttl: str) -> list[dict[str, Any]]:
    mark = {"type": "ephemeral", "ttl": ttl}
    return [{"type": "text", "text": f"For export {ttl}. {PREFIX}", "cache_control": mark}]


def openai_usage(entries: list[Entry], start: int) -> dict[str, Any]:
    """As GET /v1/organization/usage/completions gives it."""
    results = [
        {
            "object": "organization.usage.completions.result",
            "model": f"{entry['model']}-2025-04-14",
            "input_tokens": sum(count for kind, count in entry["tokens"].items() if kind != "output"),
            "input_cached_tokens": entry["tokens"].get("cache_read", 0),
            "output_tokens": entry["tokens"].get("output", 0),
        }
        for entry in entries
        if entry["provider"] == "openai"
    ]
    return {"data": [{"start_time": start, "end_time": start + 3600, "results": results}], "has_more": False}


def anthropic_usage(entries: list[Entry], start: int) -> dict[str, Any]:
    """As GET /v1/organizations/usage_report/messages gives it."""
    results = [
        {
            "model": f"{entry['model']}-20250929",
            "uncached_input_tokens": entry["tokens"].get("input", 0),
            "cache_read_input_tokens": entry["tokens"].get("cache_read", 0),
            "cache_creation": {
                f"ephemeral_{ttl}_input_tokens": entry["tokens"].get(f"cache_write_{ttl}", 0) for ttl in ("5m", "1h")
            },
            "output_tokens": entry["tokens"].get("output", 0),
        }
        for entry in entries
        if entry["provider"] == "anthropic"
    ]
    start_at, end_at = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)) for at in (start, start + 3600))
    return {"data": [{"starting_at": start_at, "ending_at": end_at, "results": results}], "has_more": False}


def reconcile(proxy: Proxy, folder: Path, export: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    (folder / "export.json").write_text(json.dumps(export))
    options = ["--provider-export", str(folder / "export.json"), "--report-format", "json", "--by", "kind"]
    options += ["--state-dir", str(folder), "--ledger", proxy.stack.ledger_url]
    result = CliRunner().invoke(app, ["reconcile", *options])
    return result.exit_code, json.loads(result.stdout)


def test_the_ledger_agrees_with_the_providers_exports(quiet: Proxy, tmp_path: Path) -> None:
    time.sleep(1.1)  # into a second that has nothing of earlier tests
    start = int(time.time())
    entries = traffic(quiet)
    kinds = {"openai": {"input", "cache_read", "output"}}
    kinds["anthropic"] = {*kinds["openai"], "cache_write_5m", "cache_write_1h"}
    for provider, shape in (("openai", openai_usage), ("anthropic", anthropic_usage)):
        code, told = reconcile(quiet, tmp_path, shape(entries, start))
        assert (code, told["agrees"]) == (0, True), told
        assert {row["kind"] for row in told["rows"]} == kinds[provider]
        # A provider that bills every call twice has as much traffic past the proxy as through it.
        code, told = reconcile(quiet, tmp_path, shape(entries * 2, start))
        assert (code, [finding["cause"] for finding in told["findings"]]) == (
            1,
            ["traffic that did not pass the proxy"],
        )
