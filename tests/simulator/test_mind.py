"""Which answers are right is fixed by seed, model and content; how often depends on tier and difficulty; words vary."""

import random
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from examples.provider_simulator import tiers
from examples.provider_simulator.conversation import Conversation, Turn, text_part
from examples.provider_simulator.mind import Mind
from examples.provider_simulator.prices import Catalogue, Model
from examples.provider_simulator.solvers import arithmetic
from examples.provider_simulator.task import read_task, split_question
from examples.provider_simulator.tiers import RIGHT
from examples.provider_simulator.tokens import count_tokens
from tests.simulator.test_solvers import LABELS, PLANS

MODELS = Catalogue().models
NANO, FRONTIER = MODELS["gpt-4.1-nano"], MODELS["gpt-5"]


def ask(text: str, system: str = "") -> Conversation:
    return Conversation(system=(text_part(system),) if system else (), turns=(Turn("user", (text_part(text),)),))


def mind(seed: int = 1, wording: int = 0) -> Mind:
    return Mind(seed, random.Random(wording))


def right_ones(model: Model, questions: Iterable[str], seed: int = 1) -> list[bool]:
    found = []
    for question in questions:
        solution = arithmetic.solve(question)
        assert solution is not None
        found.append(f" {solution.right}." in f" {mind(seed).answer(ask(question), model).text}")
    return found


HARD = [f"What is {a} * {a + 1917} / {a + 7} + {a * 31} - {a + 2} * {a + 3}?" for a in range(1001, 1401)]
EASY = [f"What is {a} + {a + 5}?" for a in range(400)]


def test_the_same_seed_model_and_content_are_right_or_wrong_together() -> None:
    assert right_ones(NANO, HARD) == right_ones(NANO, HARD)
    assert right_ones(NANO, HARD) != right_ones(NANO, HARD, seed=2)
    assert right_ones(NANO, HARD) != right_ones(MODELS["gpt-4.1-mini"], HARD)


def test_shares_follow_the_table() -> None:
    """400 draws: within four standard deviations of the table's probability."""
    for model, questions, difficulty in ((NANO, HARD, "hard"), (NANO, EASY, "easy"), (FRONTIER, EASY, "easy")):
        wanted = RIGHT[model.tier][difficulty]  # type: ignore[index]
        share = sum(right_ones(model, questions)) / len(questions)
        assert abs(share - wanted) <= 4 * (wanted * (1 - wanted) / len(questions)) ** 0.5


def test_stronger_tiers_and_easier_tasks_are_right_more_often() -> None:
    for stronger, weaker in pairwise(["frontier", "strong", "small", "nano"]):
        for difficulty in ("easy", "medium", "hard"):
            assert RIGHT[stronger][difficulty] > RIGHT[weaker][difficulty]
    for row in RIGHT.values():
        assert row["easy"] > row["medium"] > row["hard"]


def test_words_vary_and_the_fact_stays() -> None:
    model = mind()
    answers = {model.answer(ask("What is the price of the Pro plan?", PLANS), FRONTIER).text for _ in range(20)}
    assert len(answers) > 10
    assert all("$49 " in answer for answer in answers)
    assert all(40 <= count_tokens(answer) <= 200 for answer in answers)


def test_a_label_comes_alone() -> None:
    assert mind().answer(ask("It crashes with an error message", LABELS), FRONTIER).text == "bug"


def test_unknown_is_said() -> None:
    assert "$" not in mind().answer(ask("Who won the chess cup?", PLANS), FRONTIER).text


def test_questions_are_found_in_their_surroundings() -> None:
    assert split_question("Context one.\n\nWhen does it open?") == ("Context one.", "When does it open?")
    assert split_question("Facts\nQuestion: How much?") == ("Facts", "How much?")
    assert split_question("Question: How much?\n\nFacts here") == ("Facts here", "How much?")


def test_earlier_questions_are_no_context() -> None:
    turns = (
        Turn("user", (text_part("How much does the Pro plan cost"),)),
        Turn("assistant", (text_part("I do not know."),)),
        Turn("user", (text_part("How much does the Pro plan cost, please"),)),
    )
    task = read_task(Conversation(system=(text_part(PLANS),), turns=turns))
    assert "Pro plan cost" not in task.context
    assert task.earlier_question == "How much does the Pro plan cost"


def test_the_readme_shows_the_table() -> None:
    text = (Path(tiers.__file__).parent / "README.md").read_text(encoding="utf-8")
    for tier, row in RIGHT.items():
        assert f"| {tier} | {row['easy']} | {row['medium']} | {row['hard']} |" in text


def test_a_judge_sees_through_the_words_around_a_fact() -> None:
    """Three answers to one question and one to another: whichever is the reference, the candidates are told apart."""
    model = mind()
    asked = [*["What is the price of the Pro plan?"] * 3, "What is the price of the Starter plan?"]
    first, second, third, other = (model.answer(ask(question, PLANS), FRONTIER).text for question in asked)

    def judged(reference: str, *candidates: str) -> str:
        shown = "\n".join(f'<candidate number="{n}">\n{text}\n</candidate>' for n, text in enumerate(candidates, 1))
        text = f"<question>\nAny\n</question>\n<reference>\n{reference}\n</reference>\n{shown}"
        return model.answer(ask(text, "Compare."), FRONTIER).text

    assert len({first, second, third}) > 1
    assert judged(first, other, second, third) == "2"
    assert judged(first, third) == "1"
    assert judged(other, first, second) == "0"
