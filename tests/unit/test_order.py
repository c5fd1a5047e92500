import pytest

from fivelevers.order import LEVER_NAMES, LEVERS, Lever, Mode


def test_the_five_levers_in_their_order() -> None:
    assert LEVER_NAMES == ("prompt_cache", "semantic_cache", "batch", "routing", "quantization")
    assert [lever.number for lever in LEVERS] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("lever", LEVERS, ids=lambda lever: lever.name)
def test_a_lever_depends_on_earlier_ones_only(lever: Lever) -> None:
    assert set(lever.depends_on) <= set(LEVER_NAMES[: lever.number - 1])
    assert lever.must_be_measured


def test_modes_are_the_words_of_the_policy() -> None:
    assert [Mode(word) for word in ("off", "shadow", "on", "does-not-pay", "not-applicable")] == list(Mode)
