"""What is off, said in whatever order, by however many, is one board."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.order import LEVER_NAMES
from fivelevers.switch import ANY, EVERY_LEVER, NOTHING_OFF, Action, Board, Switch, check, skips

ROUTES = ("support", "tickets", "default")
places = st.tuples(st.sampled_from((ANY, *ROUTES)), st.sampled_from((ANY, *LEVER_NAMES)))


def switch(at: float, action: Action = Action.OFF, route: str = ANY, lever: str = ANY, event_id: str = "e") -> Switch:
    return Switch(at, event_id, action, route, lever, actor="ann@desk", reason=None)


@st.composite
def histories(draw: st.DrawFn) -> list[Switch]:
    said = draw(st.lists(st.tuples(places, st.sampled_from(Action), st.integers(0, 5)), max_size=8))
    return [switch(at, action, *place, event_id=f"e{n}") for n, (place, action, at) in enumerate(said)]


@given(histories(), st.randoms())
def test_boards_merge_in_any_order_and_any_number_of_times(said: list[Switch], random: object) -> None:
    board = NOTHING_OFF.merged(said)
    shuffled = [*said, *said]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    cut = len(shuffled) // 2
    assert NOTHING_OFF.merged(shuffled[cut:]).merged(shuffled[:cut]) == board
    assert board.merged(said) is board


@given(histories())
def test_a_lever_is_off_where_the_latest_word_of_some_place_around_says_so(said: list[Switch]) -> None:
    board = NOTHING_OFF.merged(said)
    for route in ROUTES:
        for lever in LEVER_NAMES:
            around = [(r, v) for r in (ANY, route) for v in (ANY, lever)]
            last = [max((s for s in said if s.place == p), key=lambda s: s.stamp, default=None) for p in around]
            stand = {s.action for s in last if s is not None}
            assert (lever in board.off(route)) == (Action.OFF in stand)
            assert (lever in board.retreated(route)) == (Action.RETREAT in stand)


@given(histories(), places)
def test_resuming_lifts_what_is_inside_and_nothing_else(said: list[Switch], place: tuple[str, str]) -> None:
    board = NOTHING_OFF.merged(said)
    inside = board.within(*place)
    assert all(wanted in (ANY, had) for s in inside for wanted, had in zip(place, s.place, strict=True))
    lifted = board.merged(switch(9, Action.RESUME, *s.place) for s in inside)
    assert lifted.within(*place) == ()
    assert {*lifted.standing, *inside} == set(board.standing)


def test_the_later_action_counts_and_of_two_at_once_always_the_same() -> None:
    same = [switch(1.0, event_id="a"), switch(1.0, Action.RESUME, event_id="b")]
    assert {Board().merged(order).off("x") for order in permutations(same)} == {frozenset()}
    assert Board().merged([switch(1.0), switch(2.0, Action.RESUME)]).standing == ()


@pytest.mark.parametrize(
    ("header", "levers", "unknown"),
    [
        ("", set(), 0),
        ("all", EVERY_LEVER, 0),
        (" ALL ,batch", EVERY_LEVER, 0),
        ("semantic_cache", {"semantic_cache"}, 0),
        ("Semantic-Cache , batch,,", {"semantic_cache", "batch"}, 0),
        ("semantic cache, 2, batch", {"batch"}, 2),
        ("\x00\ud800é", set(), 1),
    ],
)
def test_a_skip_header_names_levers(header: str, levers: set[str], unknown: int) -> None:
    assert skips(header) == (frozenset(levers), unknown)


@given(st.text())
def test_any_skip_header_is_read(header: str) -> None:
    assert skips(header)[0] <= EVERY_LEVER


def test_names_are_checked_and_the_nearest_is_told() -> None:
    check(ANY, ANY, None, ROUTES)
    check("support", "batch", "cheap is too cheap", ROUTES)
    check("whatever", "batch", None, None)
    with pytest.raises(ValueError, match=r"route: 'suport' is not known; did you mean 'support'\?"):
        check("suport", ANY, None, ROUTES)
    with pytest.raises(ValueError, match=r"lever: 'cache' is not known.* prompt_cache, semantic_cache"):
        check(ANY, "cache", None, ROUTES)
    with pytest.raises(ValueError, match="reason"):
        check(ANY, ANY, "two\nlines", ROUTES)
