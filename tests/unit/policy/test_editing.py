"""One lever of one route is set anew in a policy's text, and nothing else in it changes."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fivelevers.order import LEVER_NAMES, Mode
from fivelevers.policy import parse
from fivelevers.policy.editing import EditError, edited

STYLES = {
    "block": """\
version: 1   # of this format
routes:
  # desk
  - name: support
    match:
      model: support-*
    levers:
      prompt_cache:
        mode: shadow   # since May
      # the next one
      batch:
        mode: off
  - name: other
    match: {model: other}
""",
    "flow": "routes: [{name: support, match: {model: a}, levers: {batch: {mode: on, percent: 5}}}]\n",
    "empty": "routes:\n- name: support\n  match: {model: a}\n  levers: {}\n",
    "bare": "routes:\n- name: support\n  match: {model: a}\n",
    "match-first": "routes:\n- match: {model: a}\n  name: support",
    "match-first-block": "routes:\n- match:\n    model: a\n  name: support\n",
    "inherited": """\
defaults: {levers: {batch: {mode: shadow, percent: 7}}}
routes:
  - name: support
    match: {model: a}
""",
    "quoted": """\
routes:
  - name: 'support'
    match: {model: a}
    levers: {'batch': {'mode': 'off'}, routing: {}}
""",
}
changes = st.fixed_dictionaries(
    {}, optional={"mode": st.sampled_from(Mode), "percent": st.sampled_from([1.0, 12.5, 50.0, 100.0])}
).filter(bool)


@pytest.mark.parametrize("style", STYLES)
@given(lever=st.sampled_from(LEVER_NAMES), values=changes)
def test_that_lever_alone_changes(style: str, lever: str, values: dict[str, Mode | float]) -> None:
    assume(lever != "quantization" or values.get("mode") is not Mode.ON)
    text = STYLES[style]
    after = edited(text, "p.yaml", "support", lever, values)
    before, now = (parse(each).routes[0].levers for each in (text, after))
    for name in LEVER_NAMES:
        wanted = before.of(name).model_copy(update=values) if name == lever else before.of(name)
        assert now.of(name) == wanted
    kept = [line for line in text.splitlines() if "#" in line]
    assert all(line.split("#")[1] in after for line in kept)


def test_a_lever_that_has_to_be_registered_first_is_not_switched_on() -> None:
    with pytest.raises(EditError, match="is on without a `registration`"):
        edited(STYLES["block"], "p.yaml", "support", "quantization", {"mode": Mode.ON})


def test_comments_and_order_stay() -> None:
    after = edited(STYLES["block"], "p.yaml", "support", "prompt_cache", {"mode": Mode.ON, "percent": 10.0})
    old = "        mode: shadow   # since May\n"
    assert after == STYLES["block"].replace(old, "        mode: on   # since May\n        percent: 10\n")


@pytest.mark.parametrize("text", ["", "version: 1\n", "routes:\n  - name: a\n    match: {model: a}\n# end\n"])
def test_the_default_route_gets_a_place_of_its_own(text: str) -> None:
    after = edited(text, "p.yaml", "default", "prompt_cache", {"mode": Mode.SHADOW})
    assert parse(after).routes[-1].levers.prompt_cache.mode is Mode.SHADOW
    assert after.startswith(text.rstrip().split("# end")[0].rstrip())
    assert ("# end" in after) == ("# end" in text)


def test_what_can_not_be_changed_alone_is_refused() -> None:
    anchored = """\
routes:
  - name: a
    match: {model: a}
    levers: &same {batch: {mode: shadow}}
  - name: b
    match: {model: b}
    levers: *same
"""
    with pytest.raises(EditError, match="without changing more"):
        edited(anchored, "p.yaml", "b", "batch", {"mode": Mode.ON})
    with pytest.raises(EditError, match="is no route"):
        edited(anchored, "p.yaml", "c", "batch", {"mode": Mode.ON})
