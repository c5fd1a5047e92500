from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fivelevers.metering.attribution import Attribution, Basis, Saving, Step, attribute
from fivelevers.order import LEVER_NAMES

money = st.decimals(min_value=0, max_value=10**6, places=12)
chains = st.lists(st.sampled_from(LEVER_NAMES), unique=True).flatmap(
    lambda names: st.tuples(
        *(st.builds(Step, st.just(name), st.sampled_from(Basis), money) for name in LEVER_NAMES if name in names)
    )
)
overheads = st.dictionaries(st.sampled_from(LEVER_NAMES), money)


@given(money, chains, overheads)
def test_the_parts_sum_to_what_was_saved_exactly(
    without: Decimal, steps: tuple[Step, ...], spent: dict[str, Decimal]
) -> None:
    told = attribute(without, steps, spent)
    assert sum((saving.usd for saving in told.savings), Decimal(0)) == told.saved == told.cost_without_us - told.cost
    assert told.cost == (steps[-1].usd if steps else without) + sum(spent.values(), Decimal(0))


@given(money, chains, overheads)
def test_the_parts_come_in_lever_order(without: Decimal, steps: tuple[Step, ...], spent: dict[str, Decimal]) -> None:
    order = [LEVER_NAMES.index(saving.lever) for saving in attribute(without, steps, spent).savings]
    assert order == sorted(order)


def test_each_lever_is_credited_with_its_own_step() -> None:
    steps = [
        Step("prompt_cache", Basis.OBSERVED, Decimal("0.60")),
        Step("routing", Basis.ESTIMATED, Decimal("0.10")),
    ]
    assert attribute(Decimal("1.00"), steps, {"semantic_cache": Decimal("0.02")}) == Attribution(
        Decimal("1.00"),
        Decimal("0.12"),
        (
            Saving("prompt_cache", Basis.OBSERVED, Decimal("0.40")),
            Saving("semantic_cache", Basis.OBSERVED, Decimal("-0.02")),
            Saving("routing", Basis.ESTIMATED, Decimal("0.50")),
        ),
    )


def test_no_lever_saves_nothing() -> None:
    assert attribute(Decimal("0.5"), ()) == Attribution(Decimal("0.5"), Decimal("0.5"), ())


@pytest.mark.parametrize("names", [["routing", "prompt_cache"], ["batch", "batch"]])
def test_steps_out_of_order_are_refused(names: list[str]) -> None:
    with pytest.raises(ValueError, match="is not lever order"):
        attribute(Decimal(1), [Step(name, Basis.OBSERVED, Decimal(1)) for name in names])


def test_a_name_that_is_no_lever_is_refused() -> None:
    with pytest.raises(ValueError, match="lever: 'cache' is none of prompt_cache"):
        attribute(Decimal(1), (), {"cache": Decimal(1)})
