from decimal import Decimal
from pathlib import Path

import pytest

from fivelevers.errors import FiveLeversError, LedgerError, PolicyError, PriceError, Problem, StackError

WRONG = Problem("routes.chat.semantic_cache.max_wrong", Decimal("1.4"), "is not in 0..1", "use a share such as 0.03")


def test_a_problem_names_path_value_rule_and_fix() -> None:
    assert str(WRONG) == "routes.chat.semantic_cache.max_wrong: 1.4 is not in 0..1; use a share such as 0.03"


@pytest.mark.parametrize(("line", "place"), [(None, "policy.yaml: x"), (7, "policy.yaml:7: x")])
def test_a_problem_names_file_and_line_where_known(line: int | None, place: str) -> None:
    assert str(Problem("x", 1, "is odd", "use 2", "policy.yaml", line)).startswith(f"{place}: 1 is odd")


def test_a_huge_value_is_cut() -> None:
    assert len(str(Problem("x", "y" * 10_000, "is long", "cut it"))) < 200


def test_a_path_is_told_whole() -> None:
    path = Path("/srv", *["a-folder-with-a-name"] * 9, "prices.yaml")
    assert str(Problem("price map", path, "can not be read", "name one")).startswith(f"price map: '{path}' can not")


def test_a_file_error_shows_every_problem() -> None:
    error = PolicyError((WRONG, Problem("name", "", "is empty", "name it")))
    assert str(error).splitlines() == [str(WRONG), "name: '' is empty; name it"]
    assert error.problems[0] is WRONG


@pytest.mark.parametrize("kind", [PolicyError, PriceError, LedgerError, StackError])
def test_one_root(kind: type[Exception]) -> None:
    assert issubclass(kind, FiveLeversError)
