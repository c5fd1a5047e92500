"""`fivelevers route fit`, `certify` and `show` on files of labelled prompts."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from fivelevers.cli import app
from tests.unit.levers.routing.made_up import CHANCES

WORDS = {
    "greetings": "hello thanks morning friend welcome nice day bye soon sir",
    "law": "statute court appeal clause liability tort party lease heir deed",
    "riddles": "piano teeth river bed cold cloud silence shadow echo key",
}


def labelled(path: Path, count: int, seed: int, chances: dict[str, tuple[float, float]] = CHANCES) -> Path:
    rng, lines = np.random.default_rng(seed), []
    for _ in range(count):
        route = list(chances)[rng.integers(len(chances))]
        weak, strong = (bool(rng.random() < chance) for chance in chances[route])
        prompt = " ".join(rng.choice(WORDS[route].split(), rng.integers(12, 30)))
        correct = {"small": weak, "large": strong}
        tokens = {"small": [40, 50], "large": [40, 60]}
        lines.append(json.dumps({"prompt": prompt, "route": route, "correct": correct, "tokens": tokens}))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def price_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_map(tmp_path_factory.mktemp("prices") / "map.json")


def write_map(path: Path, large_usd: float = 0.000002) -> Path:
    small = {"litellm_provider": "openai", "input_cost_per_token": 0.0000001, "output_cost_per_token": 0.0000004}
    large = {"litellm_provider": "openai", "input_cost_per_token": large_usd, "output_cost_per_token": 0.000008}
    path.write_text(json.dumps({"small": small, "large": large}))
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["route", *map(str, words)], env={"COLUMNS": "80"})


SHOWN = ("simple", "accuracy_delta", "S large, a small, O oracle, X chosen", "Verdict: route.")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory, price_map: Path) -> Path:
    folder = tmp_path_factory.mktemp("route")
    file = labelled(folder / "labelled.jsonl", 3000, 1)
    done = run("fit", file, "--out", folder / "support.route", "--epsilon", 0.03, "--price-map", price_map)
    assert done.exit_code == 0, done.output
    for shown in SHOWN:
        assert shown in done.stdout
    return folder / "support.route"


def test_what_was_fitted_is_shown_and_holds_at_its_prices(artifact: Path, price_map: Path, tmp_path: Path) -> None:
    drawn = tmp_path / "picture.svg"
    done = run("show", artifact, "--price-map", price_map, "--picture", drawn)
    assert done.exit_code == 0, done.output
    for shown in SHOWN:
        assert shown in done.stdout
    root = ElementTree.fromstring(drawn.read_text())  # noqa: S314  our own
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"large", "small", "oracle", "chosen"} <= set(texts)
    assert "Holds for large at $2 in, $8 out per million tokens." in done.stdout
    dearer = write_map(tmp_path / "map.json", large_usd=0.000001)
    done = run("show", artifact, "--price-map", dearer, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["reopened"].startswith("large cost $2/$8 per million tokens")


def test_later_prompts_certify_it_anew(artifact: Path, price_map: Path, tmp_path: Path) -> None:
    later, out = labelled(tmp_path / "later.jsonl", 1500, 2), tmp_path / "again.route"
    done = run("certify", artifact, later, "--out", out, "--epsilon", 0.03, "--price-map", price_map, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["verdict"] == "route"
    assert 1200 < told["tested"] <= 1500
    worse = {**CHANCES, "greetings": (0.6, 0.97)}
    later = labelled(tmp_path / "worse.jsonl", 1500, 3, worse)
    done = run("certify", artifact, later, "--out", out, "--epsilon", 0.03, "--price-map", price_map, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["certified_saving"] < told["certified_saving"]


def test_a_cheap_model_that_fails_is_not_routed_to(price_map: Path, tmp_path: Path) -> None:
    file = labelled(tmp_path / "rows.jsonl", 2000, 4, {"law": (0.2, 0.9)})
    done = run("fit", file, "--out", tmp_path / "a", "--price-map", price_map)
    assert done.exit_code == 1
    assert "Verdict: do not route" in done.stdout


def answered(path: Path, count: int, seed: int, spoken: int = 0) -> Path:
    """Labelled prompts with the small model's answers, but for the first ``spoken``: it is sorry where it is wrong."""
    rows = [json.loads(line) for line in labelled(path, count, seed).read_text().splitlines()]
    for row in rows[spoken:]:
        row["answers"] = {"small": "It is 42." if row["correct"]["small"] else "I am sorry, I can not say that"}
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_a_cascade_is_fitted_to_the_weak_answers_and_certified_anew(price_map: Path, tmp_path: Path) -> None:
    file, out = answered(tmp_path / "rows.jsonl", 3000, 1, spoken=7), tmp_path / "a.cascade"
    prices = ("--epsilon", 0.03, "--price-map", price_map)
    done = run("fit", file, "--out", out, "--cascade", "small", *prices)
    assert done.exit_code == 0, done.output
    assert "7 of 3,000 prompts have no text that small answered: left out." in done.stderr
    told = " ".join(done.stdout.split())
    assert "A cascade: small answers first and is paid for; what is not taken large answers." in told
    assert "of prompts keep the weak answer" in told
    head = json.loads(run("show", out, "--price-map", price_map, "--json").stdout)
    assert (head["kind"], list(head["models"]), head["reopened"]) == ("cascade", ["small", "large"], None)
    later = answered(tmp_path / "later.jsonl", 1500, 2)
    done = run("certify", out, later, "--out", out, *prices, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["kind"] == "cascade"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--cascade", "large"), "no prompt has the text that large answered"),
        (("--cascade", "nobody"), "--cascade: 'nobody' has no labels; the file has small, large"),
        (("--cascade", "small", "--strong", "small"), "--strong: name the one model that answers what small does not"),
    ],
)
def test_a_cascade_that_can_not_be_fitted_says_why(
    price_map: Path, tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    file = answered(tmp_path / "rows.jsonl", 50, 1)
    done = run("fit", file, "--out", tmp_path / "a", *options, "--price-map", price_map)
    assert done.exit_code == 2
    assert said in done.output


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("hello", "Invalid JSON"),
        ('{"prompt": "a", "correct": {"small": true}}', "small has neither tokens nor cost_usd"),
        ('{"prompt": "a", "correct": {}}', "correct: Dictionary should have at least 1 item"),
        ('{"prompt": "a", "correct": {"small": 1}, "cost_usd": {"small": -1}}', "cost_usd.small: Input should be"),
        (
            '{"prompt": "a", "correct": {"nobody": 1}, "tokens": {"nobody": [1, 2]}}',
            "nobody: no rate for input, output",
        ),
        ('{"prompt": "a", "correct": {"small": 1}, "tokens": {"small": [1, 2]}}', "needs two models"),
    ],
)
def test_what_can_not_be_used_says_why(price_map: Path, tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(line + "\n")
    done = run("fit", path, "--out", tmp_path / "a", "--price-map", price_map)
    assert done.exit_code == 2
    assert said in done.output
    assert not (tmp_path / "a").exists()


def test_prompts_that_a_model_did_not_answer_are_left_out_and_told(price_map: Path, tmp_path: Path) -> None:
    path = labelled(tmp_path / "rows.jsonl", 300, 5)
    half = {"prompt": "only one", "correct": {"small": True}, "tokens": {"small": [1, 1]}}
    path.write_text(path.read_text() + json.dumps(half) + "\n")
    done = run("fit", path, "--out", tmp_path / "a", "--price-map", price_map, "--json")
    assert "1 of 301 prompts were not answered by all models" in done.stderr
    assert json.loads(done.stdout)["verdict"] in ("need-more", "do-not-route", "route")
