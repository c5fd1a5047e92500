"""`fivelevers fp8 gate` against servers with vLLM's pages: verdicts, refusals, a server that dies, going on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from fivelevers.cli import app
from fivelevers.embedded.health import http_ok
from fivelevers.embedded.ports import HOST, Port
from fivelevers.levers.quantization.verdict import Verdict
from fivelevers.stores import checkpoint, gated
from fivelevers.stores.checkpoint import Manifest
from tests.redis_server import soon
from tests.unit.levers.quantization.bench_documents import benchmark, guidellm

ROOT = Path(__file__).parents[3]
Serve = Callable[..., str]
FP8 = {"root": "llama-fp8", "quantization": "compressed-tensors"}
LOADS = [
    {"seconds": 60.0, "requests": 600, "input_tokens": 307_200, "output_tokens": 76_800},
    {"seconds": 60.0, "requests": 900, "input_tokens": 115_200, "output_tokens": 115_200},
    {"seconds": 60.0, "requests": 300, "input_tokens": 614_400, "output_tokens": 19_200},
]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(**settings)`: a server of its own process; its URL."""
    started: list[tuple[subprocess.Popen[bytes], Port]] = []

    def make(**settings: Any) -> str:
        port = Port()
        words = [sys.executable, "-m", "tests.vllm_pages", str(port.number), json.dumps(settings)]
        started.append((subprocess.Popen(words, cwd=ROOT), port))
        return f"http://{HOST}:{port.number}"

    def up(**settings: Any) -> str:
        url = make(**settings)
        assert soon(lambda: http_ok(f"{url}/version"))
        return url

    yield up
    for process, port in started:
        process.kill()
        process.wait()
        port.release()


@pytest.fixture
def items(tmp_path: Path) -> Path:
    file = tmp_path / "items.jsonl"
    rows = [{"prompt": f"Item {at}", "answer": str(at), "route": ("odd", "even")[at % 2]} for at in range(1000, 1400)]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """The candidate takes a quarter less time for the same."""
    faster = [{**load, "seconds": 45.0} for load in LOADS]
    file = tmp_path / "hardware.json"
    about = {"gpu": "H100 SXM", "gpus": 1, "vllm": "0.32.0", "service_level": "made up for a test"}
    file.write_text(json.dumps({**about, "baseline": LOADS, "candidate": faster}))
    return file


@pytest.fixture
def fp8(tmp_path: Path) -> Path:
    """A checkpoint as the recipe leaves it, but for its size."""
    folder = tmp_path / "llama-fp8"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    group = {
        "weights": {"type": "float", "num_bits": 8},
        "input_activations": {"type": "float", "num_bits": 8, "dynamic": True},
    }
    config = {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}}
    (folder / "config.json").write_text(json.dumps(config))
    files = checkpoint.hashes(folder)
    checkpoint.write(folder, Manifest(checkpoint.whole(files), "FP8 W8A8, dynamic activations", "llama-bf16", files))
    return folder


def gate(baseline: str, candidate: str, out: Path, *more: object) -> Result:
    words = ["fp8", "gate", "--route", "sums", "--baseline", baseline, "--candidate", candidate, "--out", str(out)]
    return CliRunner().invoke(app, [*words, *map(str, more)], env={"COLUMNS": "160"})


def measured(report: Path) -> tuple[object, ...]:
    return "--hardware-report", report, "--gpu-hour-usd", 2.5, "--utilisation", 0.5


def test_an_equal_model_that_is_faster_passes_and_is_registered(
    serve: Serve, items: Path, report: Path, fp8: Path, tmp_path: Path
) -> None:
    out, picture = tmp_path / "sums.fp8", tmp_path / "gate.svg"
    original, candidate = serve(wrong=0.1), serve(**FP8, wrong=0.1)
    asked = ("--items", items, "--exact", "--checkpoint", fp8, "--picture", picture)
    done = gate(original, candidate, out, *asked, *measured(report))
    assert done.exit_code == 0, done.output
    assert "Quality: PASS" in done.stdout
    assert "Economics: PASS" in done.stdout
    assert picture.read_text().startswith("<svg")
    found = gated.read(out)
    assert (found.items, found.lost, found.won, found.scheme) == (400, (), (), "FP8 W8A8, dynamic activations")
    assert {rule for rule, _, _ in found.findings} >= {"margin", "repeat", "perplexity", "kl", "same load"}
    assert found.saving == pytest.approx(0.25)
    registered(out, tmp_path, candidate)


def registered(out: Path, folder: Path, url: str) -> None:
    config = folder / "config.yaml"
    text = "model_list:\n  # the original\n  - model_name: llama\n    litellm_params:\n      model: hosted_vllm/llama\n"
    config.write_text(f"{text}\nlitellm_settings: {{}}  # the rest\n")
    words = ["fp8", "register", str(out), "--group", "llama"]
    no_price = CliRunner().invoke(app, [*words, "--config", str(config)])
    assert no_price.exit_code == 2
    assert "the original of 'llama' has no price" in no_price.stderr
    config.write_text(f"{text}      input_cost_per_token: 1.0e-06\n\nlitellm_settings: {{}}  # the rest\n")
    unknown = CliRunner().invoke(app, ["fp8", "register", str(out), "--group", "lama", "--config", str(config)])
    assert "'lama' has no original" in unknown.stderr
    done = CliRunner().invoke(app, [*words, "--config", str(config), "--apply"])
    assert done.exit_code == 0, done.output
    after = config.read_text()
    assert "# the original" in after
    assert "# the rest" in after
    (original, made) = yaml.safe_load(after)["model_list"]
    assert original["litellm_params"]["model"] == "hosted_vllm/llama"
    params, info = made["litellm_params"], made["model_info"]
    assert (params["model"], params["api_base"]) == ("hosted_vllm/llama", f"{url}/v1")
    assert 0 < params["cache_read_input_token_cost"] <= params["input_cost_per_token"] < params["output_cost_per_token"]
    assert info["fivelevers_fp8"] == gated.name_of(out)
    twice = CliRunner().invoke(app, [*words, "--config", str(config), "--apply"])
    assert f"has this registration at {url} already; name another replica" in twice.stderr
    more = CliRunner().invoke(app, [*words, "--config", str(config), "--apply", "--api-base", "http://fp8-1:8000/v1"])
    assert more.exit_code == 0, more.output
    rows = yaml.safe_load(config.read_text())["model_list"][1:]
    name = gated.name_of(out)
    assert [row["model_info"] for row in rows] == [made["model_info"], {**info, "id": f"llama-fp8-{name}-1"}]
    assert [row["litellm_params"]["api_base"] for row in rows] == [f"{url}/v1", "http://fp8-1:8000/v1"]


def test_a_worse_model_fails_and_is_not_registered(serve: Serve, items: Path, report: Path, tmp_path: Path) -> None:
    out = tmp_path / "sums.fp8"
    original, candidate = serve(), serve(**FP8, wrong=0.3, seed=1)
    done = gate(original, candidate, out, "--items", items, "--exact", "--json", *measured(report))
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["quality"], told["verdict"]) == ("fail", "fail")
    assert len(told["lost"]) > 80
    refused = CliRunner().invoke(app, ["fp8", "register", str(out), "--group", "llama"])
    assert (refused.exit_code, "quality says fail" in refused.stderr) == (1, True)


def test_a_model_that_says_the_same_with_other_probabilities_does_not_pass(
    serve: Serve, items: Path, report: Path, tmp_path: Path
) -> None:
    original, candidate = serve(), serve(**FP8, doubt=0.5)
    done = gate(original, candidate, tmp_path / "a.fp8", "--items", items, "--exact", "--json", *measured(report))
    told = json.loads(done.stdout)
    assert told["quality"] == "fail"
    assert {rule for rule, verdict, _ in told["findings"] if verdict == "fail"} >= {"perplexity"}


def test_the_reports_of_guidellm_decide_the_economics(serve: Serve, items: Path, tmp_path: Path) -> None:
    about: dict[str, Any] = {"gpu": "H100 SXM", "vllm": "0.32.0", "service_level": {"p95_ttft_ms": 500}}
    for name, gain in (("baseline", 1.0), ("candidate", 1.25)):
        route = [benchmark(16, 8 * gain, 200), benchmark(32, 10 * gain, 450), benchmark(64, 11 * gain, 900)]
        long = [benchmark(8, 3 * gain, 300, size=(2048, 64)), benchmark(16, 3.5 * gain, 800, size=(2048, 64))]
        (tmp_path / f"{name}.json").write_text(guidellm(*route))
        (tmp_path / f"{name}-long.json").write_text(guidellm(*long))
        about[name] = [f"{name}.json", f"{name}-long.json"]
    report, out = tmp_path / "hardware.json", tmp_path / "sums.fp8"
    report.write_text(json.dumps(about))
    servers = serve(), serve(**FP8)
    done = gate(*servers, out, "--items", items, "--exact", *measured(report))
    assert done.exit_code == 0, done.output
    found = gated.read(out)
    assert found.saving == pytest.approx(0.2)
    assert found.rates is not None
    assert "candidate: 32 at once, 12.50 requests/s" in next(why for rule, _, why in found.findings if "level" in rule)
    report.write_text(json.dumps(about | {"vllm": "0.23.0"}))
    other = gate(*servers, out, "--items", items, "--exact", *measured(report))
    assert other.exit_code == 1
    assert "measured on vLLM 0.23.0, and the candidate is served by 0.32.0" in other.stdout.replace("\n", " ")


def test_without_a_measurement_nothing_is_said_of_cost(serve: Serve, items: Path, tmp_path: Path) -> None:
    done = gate(serve(), serve(**FP8), tmp_path / "a.fp8", "--items", items, "--exact", "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert (told["quality"], told["economics"]) == ("pass", "inconclusive")


def test_too_few_items_are_inconclusive_and_it_says_how_many_more(serve: Serve, tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(f'{{"prompt": "Item {at}", "answer": "{at}"}}\n' for at in range(40)))
    done = gate(
        serve(wrong=0.2), serve(**FP8, wrong=0.2, seed=3), tmp_path / "a.fp8", "--items", few, "--exact", "--json"
    )
    told = json.loads(done.stdout)
    assert told["quality"] != "pass"
    assert told["needed"] is None or told["needed"] > 40


def test_a_server_that_dies_never_passes_and_the_gate_goes_on(
    serve: Serve, items: Path, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fivelevers.cli.fp8_gate_run.WAITS_S", (0.01,))
    out, original = tmp_path / "sums.fp8", serve()
    words = ("--items", items, "--exact", "--repeat", 0.3, "--concurrency", 4, *measured(report))
    died = gate(original, serve(**FP8, dies_after=150), out, *words)
    assert died.exit_code == 1, died.output
    assert "asked no more" in died.stdout
    assert gated.read(out).quality is Verdict.INCONCLUSIVE
    heard = [json.loads(line) for line in (tmp_path / "sums.fp8.journal").read_text().splitlines()]
    known = [one for one in heard if one.get("asked") == "candidate"]
    assert 100 < len(known) <= 150
    done = gate(original, serve(**FP8), out, *words, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["items"] == 400
    again = [json.loads(line) for line in (tmp_path / "sums.fp8.journal").read_text().splitlines()]
    asked = [(one["asked"], one["case"]) for one in again if "asked" in one]
    assert len(asked) == len(set(asked))  # nothing was asked twice


def test_what_the_servers_refuse_is_wrong_for_both(serve: Serve, tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    rows = [{"prompt": f"Item {at}{' too long' if at < 5 else ''}", "answer": str(at)} for at in range(300)]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    done = gate(serve(), serve(**FP8), tmp_path / "a.fp8", "--items", file, "--exact", "--json")
    told = json.loads(done.stdout)
    assert (told["items"], told["lost"], told["quality"]) == (300, [], "pass")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"root": "llama-bf16"}, "both serve llama-bf16"),
        ({"root": "other"}, "both run an unquantised model"),
        ({**FP8, "shift": 1}, "the tokenizer differs ('Hello world')"),
        ({**FP8, "root": None, "started": "1700000000.00"}, "are one process"),
        ({**FP8, "model": "mistral"}, "'llama' is not clear; it has mistral"),
    ],
)
def test_two_that_can_not_be_compared_are_refused_by_name(
    serve: Serve, items: Path, tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    original = serve(started="1700000000.00")
    done = gate(original, serve(**settings), tmp_path / "a.fp8", "--items", items, "--exact", "--model", "llama")
    assert done.exit_code == 2
    assert words in done.stderr


def test_the_same_server_twice_is_refused(serve: Serve, items: Path, tmp_path: Path) -> None:
    url = serve()
    done = gate(url, f"{url}/v1", tmp_path / "a.fp8", "--items", items, "--exact")
    assert done.exit_code == 2
    assert "are one server" in done.stderr


@pytest.mark.parametrize(("more", "quality"), [(0, "pass"), (1, "inconclusive")])
def test_servers_that_do_not_tokenise_tell_it_by_their_counts(
    serve: Serve, items: Path, tmp_path: Path, more: int, quality: str
) -> None:
    original, candidate = serve(tokenizes=False), serve(**FP8, tokenizes=False, more=more)
    done = gate(original, candidate, tmp_path / "a.fp8", "--items", items, "--exact", "--json")
    assert json.loads(done.stdout)["quality"] == quality


def test_another_checkpoint_than_the_one_that_is_served_is_refused(
    serve: Serve, items: Path, fp8: Path, tmp_path: Path
) -> None:
    words = ("--items", items, "--exact", "--checkpoint", fp8)
    other = gate(serve(), serve(root="llama-w4", quantization="compressed-tensors"), tmp_path / "a.fp8", *words)
    assert "serves llama-w4" in other.stderr
    online = gate(serve(), serve(root="llama-fp8", quantization="fp8"), tmp_path / "a.fp8", *words)
    assert "quantised while it was loaded" in online.stderr
    (fp8 / "model.safetensors").write_bytes(b"others")
    changed = gate(serve(), serve(**FP8), tmp_path / "a.fp8", *words)
    assert "model.safetensors has changed" in changed.stderr


def test_a_journal_of_another_gate_is_refused(serve: Serve, items: Path, tmp_path: Path) -> None:
    original, out = serve(), tmp_path / "a.fp8"
    gate(original, serve(**FP8), out, "--items", items, "--exact")
    other = gate(original, serve(**{**FP8, "root": "llama-fp8-2"}), out, "--items", items, "--exact")
    assert other.exit_code == 2
    assert "is of another gate (candidate differ)" in other.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"gpus": 0}, "gpus: Input should be greater than or equal to 1"),
        ({"candidate": []}, "candidate: List should have at least 1 item"),
        ({"baseline": [{**LOADS[0], "cached_tokens": 10**9}]}, "is more than input_tokens"),
        ({"vllm": ""}, "vllm: String should have at least 1 character"),
    ],
)
def test_a_report_that_can_not_be_is_refused_by_its_field(
    report: Path, items: Path, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    report.write_text(json.dumps(json.loads(report.read_text()) | change))
    done = gate("http://127.0.0.1:9", "http://127.0.0.1:10", tmp_path / "a.fp8", "--items", items, *measured(report))
    assert done.exit_code == 2
    assert words in done.stderr


def samples(folder: Path, wrong: set[int], text: str = "a") -> Path:
    """lm_eval's log of a run, in the folder that it makes for the model."""
    mine = folder / "llama"
    mine.mkdir(parents=True)
    rows = [
        {"doc_id": at, "doc_hash": f"{text}{at}", "filter": "none", "exact_match": float(at not in wrong)}
        for at in range(400)
    ]
    lines = "".join(f"{json.dumps(row)}\n" for row in rows)
    (mine / "samples_gsm8k_2026-11-26T10-00-00.000001.jsonl").write_text(lines)
    return folder


def test_samples_of_lm_eval_are_items_too(serve: Serve, report: Path, tmp_path: Path) -> None:
    one, two, again = (samples(tmp_path / name, wrong) for name, wrong in (("1", set()), ("2", {3}), ("3", set())))
    words = ("--baseline-samples", one, "--candidate-samples", two, "--again-samples", again, "--json")
    done = gate(serve(), serve(**FP8), tmp_path / "a.fp8", *words, *measured(report))
    told = json.loads(done.stdout)
    assert (told["items"], told["lost"], told["verdict"]) == (400, ["gsm8k:3"], "pass")
    assert told["item_hash"] != sha256(b"").hexdigest()


def test_samples_that_are_one_run_or_of_other_texts_are_refused(serve: Serve, tmp_path: Path) -> None:
    one, other = samples(tmp_path / "runs/1", {1}), samples(tmp_path / "runs/2", {2}, "b")
    servers = serve(), serve(**FP8)

    def refused(first: Path, second: Path, *more: object) -> str:
        words = ("--baseline-samples", first, "--candidate-samples", second, *more)
        done = gate(*servers, tmp_path / "a.fp8", *words)
        assert done.exit_code == 2, done.output
        return done.stderr

    assert "hold one another; name a folder of each run" in refused(one, one)
    assert "hold one another; name a folder of each run" in refused(one, other, "--again-samples", one / "llama")
    assert "gsm8k 0 is another text in each" in refused(one, other)
    both = tmp_path / "both"
    (both / "x").mkdir(parents=True)
    (tmp_path / "runs").rename(both / "runs")
    third = samples(tmp_path / "3", set())
    assert "holds several models" in refused(both, third)


def test_nothing_to_ask_and_no_server_are_told(items: Path, tmp_path: Path) -> None:
    nothing = gate("http://h", "http://i", tmp_path / "a.fp8")
    assert (nothing.exit_code, "write what both models are asked" in nothing.stderr) == (2, True)
    nowhere = gate("http://127.0.0.1:9", "http://127.0.0.1:10", tmp_path / "a.fp8", "--items", items, "--exact")
    assert nowhere.exit_code == 2
    assert re.search(r"127.0.0.1:(9|10)/v1/models: ConnectError", nowhere.stderr)
    broken = gate("127.0.0.1", "http://i", tmp_path / "a.fp8", "--items", items, "--exact")
    assert "'127.0.0.1' is no URL of a server" in broken.stderr


@pytest.mark.parametrize("status", [401, 404])
def test_a_server_that_refuses_all_is_told_in_its_words(serve: Serve, items: Path, tmp_path: Path, status: int) -> None:
    done = gate(serve(), serve(**FP8, refuses=status), tmp_path / "a.fp8", "--items", items, "--exact")
    assert done.exit_code == 2, done.output
    assert f"/v1/chat/completions: {status}:" in done.stderr
    assert "no such page" in done.stderr


def test_a_checkpoint_that_is_not_quantised_is_refused(items: Path, fp8: Path, tmp_path: Path) -> None:
    (fp8 / "config.json").write_text("{}")  # its server may quantise it while it loads
    asked = ("--items", items, "--exact", "--checkpoint", fp8)
    done = gate("http://127.0.0.1:9", "http://127.0.0.1:10", tmp_path / "a.fp8", *asked)
    assert done.exit_code == 2
    assert "is not quantised; name the one that is" in done.stderr


def test_texts_that_could_not_be_read_leave_it_open(serve: Serve, items: Path, report: Path, tmp_path: Path) -> None:
    out, servers = tmp_path / "a.fp8", (serve(), serve(**FP8, reads=False))
    done = gate(*servers, out, "--items", items, "--exact", *measured(report))
    assert done.exit_code == 1, done.output
    (why,) = (why for rule, _, why in gated.read(out).findings if rule == "perplexity")
    assert why.startswith("the texts were not read: ")
    assert "out of memory" in why
    without = gate(*servers, out, "--items", items, "--exact", "--texts", 0, *measured(report))
    assert without.exit_code == 0, without.output


def test_a_verdict_that_was_edited_is_refused(serve: Serve, items: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.fp8"
    gate(serve(), serve(**FP8), out, "--items", items, "--exact")
    assert gated.read(out).economics is Verdict.INCONCLUSIVE
    out.write_text(out.read_text().replace('"economics": "inconclusive"', '"economics": "pass"'))
    done = CliRunner().invoke(app, ["fp8", "register", str(out), "--group", "llama"])
    assert done.exit_code == 2
    assert "is damaged, its checksum differs" in done.stderr
