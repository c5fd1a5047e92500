"""What the history says of a policy that replaced another."""

from hypothesis import given
from hypothesis import strategies as st

from fivelevers.policy import EMPTY, changes, parse

OLD = "routes: [{name: a, match: {model: a}}, {name: b, match: {model: b}, holdout: 0.1}]"
NEW = """
order: strict
routes:
- {name: b, match: {model: b}, holdout: 0.1, levers: {prompt_cache: {mode: on, percent: 5}}, validators: [{regex: x}]}
- {name: a, match: {model: a}}
- {name: c, match: {team: t}, levers: {prompt_cache: {mode: shadow}}}
"""


def test_each_value_that_differs_is_named() -> None:
    told = changes(parse(OLD), parse(NEW))
    assert set(told) == {
        "order: warn -> strict",
        "routes: order a, b, default -> b, a, default",
        "routes.b.levers.prompt_cache.mode: off -> on",
        "routes.b.levers.prompt_cache.percent: 100.0 -> 5.0",
        "routes.b.validators: [] -> [{'regex': 'x'}]",
        "routes.c: added",
        "routes.c.match.team: none -> t",
        "routes.c.levers.prompt_cache.mode: off -> shadow",
    }
    assert "routes.c: removed" in changes(parse(NEW), parse(OLD))


texts = st.sampled_from(
    ["", OLD, NEW, "order: strict", "defaults: {holdout: 0.3}", "routes: [{name: c, match: {tag: t}}]"]
)


@given(texts, texts)
def test_there_are_changes_exactly_where_the_hash_differs(old: str, new: str) -> None:
    one, other = parse(old), parse(new)
    assert bool(changes(one, other)) is (one.hash != other.hash)


def test_nothing_changes_nothing() -> None:
    assert changes(EMPTY, EMPTY) == ()
