"""Which questions of a long log are looked up."""

from __future__ import annotations

from fivelevers.audit.answer_lines import NO_CHARGE, AnswerLine
from fivelevers.audit.questions import Questions


def seen(questions: Questions, route: str, count: int) -> AnswerLine:
    line = AnswerLine(route, "m")
    for n in range(count):
        questions.see(
            b"s", f"{route} {n}", at=float(n), answered=n + 1.0, stored=True, said=None, charge=NO_CHARGE, line=line
        )
    return line


def test_a_small_log_is_kept_whole_and_by_time() -> None:
    questions = Questions(10, 20)
    assert seen(questions, "a", 5).asked == 5
    seen(questions, "b", 5)
    assert [one.at for one in questions.kept] == sorted([*map(float, range(5))] * 2)


def test_of_a_large_one_a_bounded_part_is_drawn_from_everywhere() -> None:
    questions = Questions(100, 1000)
    line = seen(questions, "a", 5000)
    assert line.asked == 5000
    assert 90 <= len(questions.kept) <= 100
    assert min(one.at for one in questions.kept) < 500
    assert max(one.at for one in questions.kept) > 4500


def test_of_long_ones_fewer_are_kept() -> None:
    questions = Questions(1000, 1000, 50_000)
    line = AnswerLine("a", "m")
    for n in range(2000):
        text = f"{n} " * (500 if n % 2 else 1)
        questions.see(b"s", text, at=n, answered=n + 1, stored=True, said=None, charge=NO_CHARGE, line=line)
    chars = sum(min(len(one.text), 1000) for one in questions.kept)
    assert 40_000 < chars <= 50_000
    share = sum(len(one.text) > 9 for one in questions.kept) / len(questions.kept)
    assert 0.3 < share < 0.7  # drawn by their hash alone


def test_many_routes_share_what_there_is() -> None:
    questions = Questions(100, 150)
    for route in "abcdef":
        seen(questions, route, 90)
    kept = questions.kept
    assert 130 <= len(kept) <= 150
    assert {one.line.route for one in kept} == set("abcdef")


def test_the_same_questions_are_drawn_each_time() -> None:
    first, second = Questions(50, 50), Questions(50, 50)
    for questions in (first, second):
        seen(questions, "a", 1000)
    assert [one.text for one in first.kept] == [one.text for one in second.kept]
