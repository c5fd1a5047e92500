"""The policy file is read strictly: everything wrong is told at once, with its line and what to write instead."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.errors import PolicyError
from fivelevers.policy import load, parse, read, read_text


def told(text: str, file: str = "p.yaml") -> list[str]:
    return [str(problem) for problem in read_text(text, file).problems]


def test_all_problems_are_told_at_once_from_top_to_bottom() -> None:
    text = """
order: stict
defaults:
  holdout: "1e-2"
  retention_days: 4000
routes:
- name: support
  match: {modle: "support-*", team: 12}
  holdout: 0.1
  holdout: yes
  levers: {prompt_cach: {mode: on}, batch: {mode: shadwo, percent: 101}, quantization: 3}
  repeat_window_s: 0
  content: smaple
- match: {model: a}
- name: Loud
  match:
  failure_cost_usd: .inf
- name: support
  match: {model: b, header: {x-app: 1}}
  retention_days: 2.5
tenants: x
version: 2
"""
    assert told(text) == [
        "p.yaml:2: order: 'stict' is none of strict, warn; did you mean `strict`?",
        "p.yaml:4: defaults.holdout: '1e-2' is not a number; write 0.01, without quotes",
        "p.yaml:5: defaults.retention_days: 4000 is not in 1..3650; write a number from 1 to 3650",
        'p.yaml:8: routes.support.match.team: 12 is not text; write it in quotes: team: "12"',
        "p.yaml:8: routes.support.match.modle: 'support-*' is not a known key; did you mean `model`?",
        "p.yaml:10: routes.support.holdout: 'holdout' is a key already on line 9; keep one",
        "p.yaml:10: routes.support.holdout: True is not a number; write a number from 0 to 0.5",
        (
            "p.yaml:11: routes.support.levers.batch.mode: 'shadwo' is none of off, shadow, on, does-not-pay, "
            "not-applicable; did you mean `shadow`?"
        ),
        "p.yaml:11: routes.support.levers.batch.percent: 101 is not in 0..100; write a number from 0 to 100",
        (
            "p.yaml:11: routes.support.levers.quantization: 3 is not a mapping; leave `quantization` out, or write a "
            "mapping with keys among mode, percent, registration"
        ),
        "p.yaml:11: routes.support.levers.prompt_cach: {'mode': True} is not a known key; did you mean `prompt_cache`?",
        "p.yaml:12: routes.support.repeat_window_s: 0 is not above 0; write a number above 0",
        "p.yaml:13: routes.support.content: 'smaple' is none of off, sample, all; did you mean `sample`?",
        "p.yaml:14: routes[1]: {'match': {'model': 'a'}} has no `name`; add `name`, which has no default",
        (
            "p.yaml:15: routes.Loud.name: 'Loud' is not a route's name; use up to 63 lower-case letters, digits, - and "
            "_, a letter or digit first"
        ),
        (
            "p.yaml:16: routes.Loud.match: None is not a mapping; leave `match` out, or write a mapping with keys "
            "among model, path, header, tag, team, key_alias"
        ),
        "p.yaml:17: routes.Loud.failure_cost_usd: inf is not a finite number; write a number from 0 up",
        'p.yaml:19: routes.support.match.header.x-app: 1 is not text; write it in quotes: x-app: "1"',
        "p.yaml:20: routes.support.retention_days: 2.5 is not a whole number; write a number from 1 to 3650",
        "p.yaml:21: tenants: 'x' is not a known key; known here: version, order, routes, defaults, include",
        "p.yaml:22: version: 2 is not 1; write `version: 1`, or leave it out",
    ]


@pytest.mark.parametrize(
    ("validator", "says"),
    [
        ("{regex: '('}", "validators[0].regex: '(' is not a regular expression"),
        ("{json_schema: {type: 3}}", "validators[0].json_schema: {'type': 3} is not a JSON Schema"),
        ("{json_schema: x}", "validators[0].json_schema: 'x' is not a mapping"),
        ("{}", "validators[0]: {} says nothing to check; write one of json_schema"),
        ("{regex: a, python: 'b:c'}", "says regex and python; write one"),
        ("{python: x}", "validators[0].python: 'x' is not an entry point; write package.module:callable"),
        ("{tool_arguments: false}", "validators[0].tool_arguments: False is not true; write `tool_arguments: true`"),
        ("{rgex: a}", "did you mean `regex`?"),
    ],
)
def test_what_a_validator_may_not_say(validator: str, says: str) -> None:
    (problem,) = told(f"defaults:\n  validators: [{validator}]")
    assert problem.startswith("p.yaml:2: defaults.validators[0]")
    assert says in problem


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- a", "p.yaml:1: ['a'] is not a mapping"),
        ("a: 1\nb: [", "is not YAML"),
        ("routes: 3", "p.yaml:1: routes: 3 is not a list"),
        ("routes: [3]", "p.yaml:1: routes[0]: 3 is not a mapping"),
        ("defaults: 3", "p.yaml:1: defaults: 3 is not a mapping"),
        ("defaults: {match: {model: a}}", "defaults.match: {'model': 'a'} is no default"),
        ("defaults: {name: a}", "defaults.name: 'a' is no default; say it in each route"),
        ("include: 3", "include: 3 is not a list of paths"),
        ("include: [3]", "include: [3] is not a list of paths"),
        ('include: "a\\0b"', "is not a list of paths"),
        ("1: a", "1: 1 is a key that is not text"),
        ("defaults: {levers: {batch: {no_provider_storage: 1}}}", "1 is neither true nor false; write `no_prov"),
        ("defaults: {levers: {batch: {regions: [no]}}}", "regions[0]: False is not text; write it in quotes"),
        ("defaults: {levers: {batch: {regions: eu}}}", "'eu' is not a list"),
        ("a: 1\na: 2\n", "p.yaml:2: a: 'a' is a key already on line 1"),
        ("- !!python/object:os.system {}", "is not YAML"),
    ],
)
def test_what_a_file_may_not_be(text: str, says: str) -> None:
    assert any(says in problem for problem in told(text)), told(text)


def test_a_wrong_default_is_told_once_however_many_inherit_it() -> None:
    text = "defaults: {holdout: 3}\nroutes: [{name: a, match: {model: a}}, {name: b, match: {model: b}, holdout: 0}]"
    assert told(text) == ["p.yaml:1: defaults.holdout: 3 is not in 0..0.5; write a number from 0 to 0.5"]


def test_a_merged_mapping_is_no_double() -> None:
    text = """
routes:
- &a {name: a, match: {model: a}, holdout: 0.1}
- {<<: *a, name: b, match: {model: b}, tenant: nobody}
"""
    assert told(text) == ["p.yaml:4: routes.b.tenant: 'nobody' is none of team, key, end_user; write one of them"]


@given(st.text(alphabet="abn: -[]{}&*<,\n\"'#!%@`?0.é\t\x00", max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    reading = read_text(text, "p.yaml")
    assert (reading.policy is None) is bool(reading.problems)


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["name", "match", "levers", "mode", "batch", "validators", "a"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["routes", "defaults", "include", "order", "version", "x"]), values))
def test_no_value_raises_anything_else(raw: dict[str, object]) -> None:
    for problem in read_text(yaml.safe_dump(raw), "p.yaml").problems:
        assert problem.line is not None
        assert problem.rule
        assert problem.fix


@pytest.mark.parametrize(
    "damaged", [b"version: \xff", b"\xff\xfev\x00", b"\x00", b"[" * 600, b"routes: 2026-13-01", b"a: !!timestamp x"]
)
def test_a_damaged_file_is_a_policy_error_and_no_other(tmp_path: Path, damaged: bytes) -> None:
    (tmp_path / "policy.yaml").write_bytes(damaged)
    with pytest.raises(PolicyError, match=r"policy\.yaml"):
        load(tmp_path / "policy.yaml")


def test_a_missing_file_says_so() -> None:
    with pytest.raises(PolicyError, match=r"No such file.*FIVELEVERS_POLICY"):
        load(Path("nowhere.yaml"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "teams").mkdir()
    (tmp_path / "teams/b.yaml").write_text("routes:\n- {name: b, match: {team: b}}\n")
    (tmp_path / "teams/a.yaml").write_text(
        "routes:\n- {name: a1, match: {team: a, model: x}}\n- {name: a2, match: {team: a}}"
    )
    return tmp_path


def main(folder: Path, text: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("end", ["", "\n- {name: default, holdout: 0.3}"])
def test_included_routes_stand_before_the_default_and_inherit(folder: Path, end: str) -> None:
    text = f"include: [teams/*.yaml]\ndefaults: {{holdout: 0.2}}\nroutes:\n- {{name: own, match: {{team: own}}}}{end}"
    policy = load(main(folder, text))
    assert [route.name for route in policy.routes] == ["own", "a1", "a2", "b", "default"]
    assert [route.holdout for route in policy.routes] == [0.2] * 4 + [0.3 if end else 0.2]


def test_a_policy_in_several_files_is_the_policy_in_one(folder: Path) -> None:
    one = "routes: [{name: a1, match: {team: a, model: x}}, {name: a2, match: {team: a}}, {name: b, match: {team: b}}]"
    assert load(main(folder, "include: teams/*.yaml")).hash == parse(one).hash


def test_each_file_is_included_once_and_the_file_itself_never(folder: Path) -> None:
    text = "include: [teams/b.yaml, 'teams/*', '*.yaml', './teams/../teams/a.yaml']"
    assert [route.name for route in load(main(folder, text)).routes] == ["b", "a1", "a2", "default"]


def test_problems_in_included_files_name_these_files(folder: Path) -> None:
    (folder / "teams/a.yaml").write_text(
        "defaults: {}\nroutes:\n- name: own\n  match: {team: x}\n- {name: b2, match: {}}\nrotes: []\ninclude: []"
    )
    (folder / "teams/b.yaml").write_text("routes:\n- {name: b, holdout: 2}")
    (folder / "teams/c.yaml").write_text("- c")
    (folder / "teams/d.yaml").write_text("{{")
    path = main(folder, "include: [gone.yaml, 'teams/*', 'none/*']\nroutes: [{name: own, match: {team: own}}]")
    reading = read(path)
    lines = [str(problem).removeprefix(f"{folder}/") for problem in reading.problems]
    assert [line.split(" ", 1)[0] + " " + line.split(" ")[1] for line in lines] == [
        "policy.yaml:1: include[0]:",
        "teams/a.yaml:1: defaults:",
        "teams/a.yaml:3: routes.own.name:",
        "teams/a.yaml:5: routes.b2.match:",
        "teams/a.yaml:6: rotes:",
        "teams/a.yaml:7: include:",
        "teams/b.yaml:2: routes.b.holdout:",
        "teams/c.yaml:1: ['c']",
        "teams/d.yaml:1: '{{'",
    ]
    assert f"({path}:2)" in lines[2] or f"({path}:1)" in lines[2]
    assert [str(warning) for warning in reading.warnings] == [
        f"{path}:1: include[2]: 'none/*' names no file; correct it, or leave it out"
    ]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ("cascade: {weak: a, strong: a, verify: [schema]}", "names one model twice"),
        ("cascade: {weak: a, strong: b, verify: [agreement]}", "needs both `agrees_with` and `agreement` in `verify`"),
        ("cascade: {weak: a, strong: b, verify: [schema], agrees_with: c}", "or neither; write the other, too"),
        ("cascade: {weak: a, strong: b, verify: [scorer]}", "needs both `artifact` and `scorer` in `verify`"),
        ("artifact: x, cascade: {weak: a, strong: b, verify: [schema]}", "has a cascade beside `artifact`"),
    ],
)
def test_a_cascade_is_whole(settings: str, problem: str) -> None:
    (said,) = told(f"defaults: {{levers: {{routing: {{{settings}}}}}}}")
    assert problem in said
    assert "defaults.levers.routing" in said
