"""What routes may not say together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.errors import PolicyError
from fivelevers.policy import Caller, Match, parse, read_text
from fivelevers.policy.rules import implied


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[{name: default}, {name: x, match: {model: a}}]", "routes.default.name: 'default' is not the last route"),
        ("[{name: a, match: {model: a}}, {name: a, match: {model: b}}]", "'a' names another route too (p.yaml:1)"),
        ("[{name: a}, {name: b, match: {model: b}}]", "routes.a.match: {} matches every request"),
        ("[{name: default, match: {model: b}}]", "narrows the default route"),
        ("[{name: a, match: {header: {X-A: b, x-a: c}}}]", "names a header twice"),
        (
            "[{name: a, match: {model: 'a*'}}, {name: b, match: {model: ab}}]",
            "routes.b.match: {'model': 'ab'} never gets a request: a has them all (p.yaml:1); move it above a",
        ),
        ("[{name: a, match: {team: t}}, {name: b, match: {team: t, path: /x}}]", "routes.b.match"),
        ("[{name: a, match: {path: '*'}}, {name: b, match: {tag: t}}]", "routes.b.match"),
        ("[{name: a, match: {header: {X-A: b}}}, {name: b, match: {header: {x-a: b}, model: c}}]", "routes.b.match"),
    ],
)
def test_what_routes_may_not_say_together(text: str, says: str) -> None:
    problems = [str(problem) for problem in read_text(f"routes: {text}", "p.yaml").problems]
    assert len(problems) == 1
    assert says in problems[0]


@pytest.mark.parametrize(
    "text",
    [
        "[{name: a, match: {model: ab}}, {name: b, match: {model: 'a*'}}]",
        "[{name: a, match: {model: 'a*', team: t}}, {name: b, match: {model: ab}}]",
        "[{name: a, match: {tag: s}}, {name: b, match: {tag: t}}]",
        "[{name: a, match: {header: {x: '1', y: '2'}}}, {name: b, match: {header: {x: '1'}}}]",
        "[{name: a, match: {model: a}}, {name: b, match: {path: a}}]",
    ],
)
def test_routes_that_some_request_reaches(text: str) -> None:
    assert not read_text(f"routes: {text}", "p.yaml").problems


words = st.sampled_from([None, "a", "b", "a*", "*", "?"])
plain = st.sampled_from([None, "a", "b"])
headers = st.dictionaries(st.sampled_from(["X", "Y"]), st.sampled_from(["1", "2"]))
matches = st.builds(Match, model=words, path=words, tag=plain, team=plain, key_alias=plain, header=headers)
callers = st.builds(
    Caller, path=st.sampled_from(["a", "b", "ab"]),
    headers=st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from("12")),
    key=st.just("k"), key_alias=plain, team=plain, team_alias=plain, tags=st.sampled_from([(), ("a",), ("a", "b")]),
)  # fmt: skip


@given(matches, matches, callers, st.sampled_from(["a", "b", "ab"]))
def test_a_route_called_unreachable_is(wide: Match, narrow: Match, caller: Caller, model: str) -> None:
    if implied(wide, narrow) and narrow.accepts(caller, model):
        assert wide.accepts(caller, model)


@pytest.mark.parametrize(
    ("levers", "waits_for"),
    [
        ("{prompt_cache: {mode: on}}", None),
        ("{semantic_cache: {mode: on}}", "prompt_cache (off)"),
        ("{semantic_cache: {mode: shadow}}", None),
        ("{prompt_cache: {mode: shadow}, semantic_cache: {mode: on}}", "prompt_cache (shadow)"),
        ("{prompt_cache: {mode: does-not-pay}, semantic_cache: {mode: on}}", None),
        ("{prompt_cache: {mode: not-applicable}, batch: {mode: on}}", "semantic_cache (off)"),
        ("{prompt_cache: {mode: on}, routing: {mode: on}}", "semantic_cache (off), batch (off)"),
    ],
)
def test_the_order_of_the_levers(levers: str, waits_for: str | None) -> None:
    text = f"routes:\n- name: a\n  match: {{model: a}}\n  levers: {levers}"
    warnings = [str(warning) for warning in read_text(text, "p.yaml").warnings]
    if waits_for is None:
        assert not warnings
        return
    (warning,) = warnings
    assert warning.startswith("p.yaml:4: routes.a.levers.")
    assert f"'on' is before its turn: first {waits_for}; switch" in warning
    assert parse(text)
    with pytest.raises(PolicyError, match="before its turn"):
        parse(f"order: strict\n{text}")


def test_an_inherited_breach_is_told_once_where_it_stands() -> None:
    text = "defaults:\n  levers: {batch: {mode: on}}\nroutes: [{name: a, match: {model: a}}]"
    (warning,) = read_text(text, "p.yaml").warnings
    assert (warning.line, warning.path) == (2, "defaults.levers.batch.mode")
