"""The JSON Schema says of a file what the reader says of it."""

import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from fivelevers.policy import read_text
from fivelevers.policy.schema import json_schema

ROOT = Path(__file__).parents[3]
SCHEMA = Draft202012Validator(json_schema())
PAGE = (ROOT / "docs/policy.md").read_text()
GOOD = [
    "{}",
    "routes:\ndefaults:\ninclude:",
    "include: teams/*.none",
    "defaults: {content: off, levers: {batch: {mode: off}, prompt_cache: {mode: on, percent: 5}}}",
    "defaults: {content: all, content_share: 1, retention_days: 1, repeat_means: retry, repeat_window_s: 0.5}",
    "defaults: {validators: [{json_schema: {type: object}}, {tool_arguments: true}, {regex: a}, {python: 'm.n:f'}]}",
    "order: strict\nversion: 1",
    "defaults: {levers: {batch: {mode: on, inspect: body, opt_in: route, deadline_s: 3600, regions: [eu]}}}",
    "defaults: {levers: {routing: {mode: on, artifact: a.route, strong: large, callers_may_choose: true}}}",
    "defaults: {levers: {routing: {cascade: {weak: a, strong: b, verify: [schema, validators], timeout_s: 5}}}}",
    "routes: [{name: a, match: {model: x, path: null, header: {x: y}, tag: t, team: u, key_alias: k}, tenant: key}]",
    "defaults: {levers: {quantization: {mode: on, percent: 5, registration: chat.fp8}}}",
    (ROOT / "litellm_config/fivelevers.yaml").read_text(),
    *(block for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S) if "\nroutes:" in block),
]
BAD = [
    "[]",
    "routs: []",
    "routes: 3",
    "routes: [{match: {model: a}}]",
    "routes: [{name: A}]",
    "routes: [{name: a, match: {modle: a}}]",
    "routes: [{name: a, match: {team: 1}}]",
    "defaults: {name: a}",
    "defaults: {match: {model: a}}",
    "defaults: {holdout: 0.6}",
    "defaults: {holdout: '0.1'}",
    "defaults: {holdout: true}",
    "defaults: {retention_days: 1.5}",
    "defaults: {repeat_window_s: 0}",
    "defaults: {content: some}",
    "defaults: {levers: {batch: {mode: of}}}",
    "defaults: {levers: {bach: {}}}",
    "defaults: {levers: {batch: {inspect: all}}}",
    "defaults: {levers: {batch: {deadline_s: 3599}}}",
    "defaults: {levers: {batch: {no_provider_storage: 1}}}",
    "defaults: {levers: {batch: {regions: eu}}}",
    "defaults: {levers: {routing: {artifact: ''}}}",
    "defaults: {levers: {routing: {watch_share: 0.6}}}",
    "defaults: {levers: {routing: {callers_may_choose: 1}}}",
    "defaults: {levers: {routing: {cascade: {weak: a, strong: b}}}}",
    "defaults: {levers: {routing: {cascade: {weak: a, strong: b, verify: []}}}}",
    "defaults: {levers: {routing: {cascade: {weak: a, strong: b, verify: [hope]}}}}",
    "defaults: {levers: {prompt_cache: {inspect: body}}}",
    "defaults: {validators: [{}]}",
    "defaults: {validators: [{regex: a, tool_arguments: true}]}",
    "defaults: {validators: [{python: x}]}",
    "include: [1]",
    "version: 2",
    "order: never",
]


@pytest.mark.parametrize("text", GOOD)
def test_what_the_reader_takes_fits(text: str) -> None:
    assert not read_text(text, "p.yaml").problems
    assert not list(SCHEMA.iter_errors(yaml.safe_load(text)))


@pytest.mark.parametrize("text", BAD)
def test_what_the_reader_refuses_does_not_fit(text: str) -> None:
    assert read_text(text, "p.yaml").problems
    assert list(SCHEMA.iter_errors(yaml.safe_load(text)))


def test_the_schema_is_one_and_every_key_is_described() -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    for name in ("Route", "Defaults", "Match", "BatchSwitch", "RoutingSwitch", "QuantizationSwitch", "Validator"):
        for key, about in schema["$defs"][name]["properties"].items():
            assert about.get("description") or key == "levers", (name, key)
