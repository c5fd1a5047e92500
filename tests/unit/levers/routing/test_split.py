"""Near-duplicates stay together, and a prompt stays where it is."""

from __future__ import annotations

import numpy as np

from fivelevers.levers.routing.features import features_of
from fivelevers.levers.routing.split import groups_of, split

BASE = [
    f"What does the {thing} of account {n} cost when {what} is due in the coming {span} of this {n % 7} year?"
    for n in range(50)
    for thing, what, span in (("licence", "payment", "month"), ("upkeep", "delivery of goods", "week"))
]
OTHERS = [f"{word} {word[::-1]} {at} {chr(97 + at % 26) * 5} asks about {word * 2}" for at, word in enumerate(
    f"w{chr(97 + a)}{chr(97 + b)}" for a in range(26) for b in range(26)
)]  # fmt: skip


def test_copies_with_other_numbers_are_one_group() -> None:
    groups = groups_of([features_of(text) for text in BASE])
    assert len(set(groups.tolist())) == 2


def test_other_prompts_are_not() -> None:
    groups = groups_of([features_of(text) for text in OTHERS])
    assert len(set(groups.tolist())) == len(OTHERS)
    assert groups_of([features_of("")] * 3).tolist() == [0, 1, 2]


def test_a_group_goes_to_one_part_and_counts_once_outside_of_train() -> None:
    texts = BASE + OTHERS
    groups = groups_of([features_of(text) for text in texts])
    for salt in "abcdef":
        made = split(texts, groups, (0.4, 0.3), salt)
        parts = [set(groups[rows].tolist()) for rows in (made.train, made.calibration, made.report)]
        assert sum(map(len, parts)) == len(set().union(*parts))
        assert len(made.calibration) == len(parts[1])
        assert len(made.report) == len(parts[2])
        assert set().union(*parts) == set(groups.tolist())


def test_shares_are_kept_and_prompts_that_come_later_move_nobody() -> None:
    groups = np.arange(len(OTHERS))
    made = split(OTHERS, groups, (0.5, 0.3))
    assert abs(len(made.train) / len(OTHERS) - 0.5) < 0.06
    half = split(OTHERS[:300], groups[:300], (0.5, 0.3))
    assert set(half.train.tolist()) == {at for at in made.train.tolist() if at < 300}
    assert made.train.tolist() != split(OTHERS, groups, (0.5, 0.3), "other").train.tolist()
