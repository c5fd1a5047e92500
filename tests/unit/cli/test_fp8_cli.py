"""`fivelevers fp8 check`, `recipe`, `manifest` and `serve`: what they say of hardware, checkpoints and servers."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from fivelevers.cli import app
from fivelevers.embedded.health import http_ok
from fivelevers.embedded.ports import HOST, Port
from tests.redis_server import soon
from tests.unit.levers.quantization.test_checkpoint import LLAMA_8B, grouped

DYNAMIC = grouped("float", 8, {"type": "float", "num_bits": 8, "dynamic": True})


def fp8(*words: object, **environment: str) -> Result:
    return CliRunner().invoke(app, ["fp8", *map(str, words)], env={"COLUMNS": "120", **environment})


def model(folder: Path, config: dict[str, Any] = LLAMA_8B, name: str = "llama-8b") -> Path:
    made = folder / name
    made.mkdir()
    (made / "config.json").write_text(json.dumps(config))
    (made / "model.safetensors").write_bytes(b"weights of " + name.encode())
    return made


def smi(folder: Path, said: str, code: int = 0) -> str:
    """A PATH whose nvidia-smi says this."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n[ \"$1\" = --query-gpu=name,compute_cap,memory.total,driver_version ] || exit 9\n"
                       f"echo '{said}'\nexit {code}\n")  # fmt: skip
    program.chmod(0o755)
    return str(folder)


L4 = ("--gpu", "L4", "--compute-capability", "8.9", "--memory-gib", "24")


def test_the_gpu_of_this_host_is_asked(tmp_path: Path) -> None:
    path = smi(tmp_path, "NVIDIA H100 80GB HBM3, 9.0, 81559, 570.124.06")
    done = fp8("check", model(tmp_path), "--json", PATH=path)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["gpu"]["name"], told["gpu"]["driver"]) == ("NVIDIA H100 80GB HBM3", "570.124.06")
    assert (told["support"], told["problems"]) == ("W8A8", [])
    assert told["memory"]["BF16"]["weights_gib"] == pytest.approx(14.96, abs=0.05)
    assert told["memory"]["FP8"]["fits"]


@pytest.mark.parametrize(
    ("capability", "code", "words"),
    [
        ("9.0", 0, "multiplies in FP8"),
        ("8.0", 0, "Beware: A GPU: compute capability 8.0: no FP8 products; weights alone"),
        ("7.0", 1, "No: A GPU: compute capability 7.0: vLLM runs no FP8 below 7.5"),
    ],
)
def test_a_remote_gpu_is_described(capability: str, code: int, words: str) -> None:
    done = fp8("check", "--gpu", "A GPU", "--compute-capability", capability, "--memory-gib", 80)
    assert done.exit_code == code
    assert words in " ".join(done.stdout.split())


def test_what_does_not_fit_is_told_with_what_would(tmp_path: Path) -> None:
    done = fp8("check", model(tmp_path), *L4, "--concurrency", 8)
    assert done.exit_code == 0
    assert "Beware: BF16 does not fit at that load" in done.stdout
    more = fp8("check", tmp_path / "llama-8b", *L4, "--concurrency", 64)
    assert more.exit_code == 1
    assert "No: FP8 holds 11 sequences of that context, not 64" in " ".join(more.stdout.split())


@pytest.mark.parametrize(("load", "code", "words"), [
    ("20", 0, "4 replicas become 3: $1,825 a month; the effort is back in 2.7 months"),
    ("2", 1, "No: it does not pay: the load takes as many GPUs as before (1 replicas before, 1 after)"),
])  # fmt: skip
def test_whether_the_effort_returns(load: str, code: int, words: str) -> None:
    rates = ("--gpu-hour-usd", 2.5, "--load-per-s", load, "--bf16-per-s", 10, "--fp8-per-s", 15)
    done = fp8("check", *L4, *rates)
    assert done.exit_code == code
    assert words in " ".join(done.stdout.split())


def test_a_managed_api_has_nothing_to_quantise() -> None:
    done = fp8("check", "--provider", "openai")
    assert (done.exit_code, "nothing of yours to quantise" in done.stdout) == (1, True)


@pytest.mark.parametrize(("config", "words"), [
    (grouped("int", 8, {"type": "int", "num_bits": 8}), "W8A8 int is not FP8 W8A8; 1-3 % are lost on average"),
    (grouped("int", 4, None), "W4A16 int is not FP8 W8A8"),
    ({"quantization_config": {"quant_method": "awq"}}, "awq is not our recipe's"),
    ({"builder_config": {}}, "a TensorRT-LLM engine is not our recipe's"),
])  # fmt: skip
def test_other_schemes_are_recognised_and_warned_of(tmp_path: Path, config: dict[str, Any], words: str) -> None:
    done = fp8("check", model(tmp_path, LLAMA_8B | config), *L4, "--concurrency", 4)
    assert words in " ".join(done.stdout.split())


@pytest.mark.parametrize(("words", "said"), [
    (("--compute-capability", "8.9"), "--compute-capability, --memory-gib: write both"),
    (("--compute-capability", "Ada", "--memory-gib", 24), "'Ada' is none; write one such as 8.9"),
    ((*L4, "--load-per-s", 2), "write all four, or none"),
    ((), "nvidia-smi: is not here; run this on the GPU's host"),
])  # fmt: skip
def test_what_is_missing_is_named(words: tuple[object, ...], said: str) -> None:
    done = fp8("check", *words, PATH="/nowhere")
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_driver_that_fails_is_told(tmp_path: Path) -> None:
    assert "nvidia-smi: " in fp8("check", PATH=smi(tmp_path, "no devices were found", 6)).stderr
    assert "which names no GPU" in fp8("check", PATH=smi(tmp_path, "No devices were found")).stderr


def test_the_recipe_is_a_script_for_an_environment_of_its_own(tmp_path: Path) -> None:
    out = tmp_path / "llama-8b-fp8"
    done = fp8("recipe", model(tmp_path), "--out", out)
    assert done.exit_code == 0, done.output
    assert f"fivelevers fp8 manifest {out} --source" in done.stdout
    text = (tmp_path / "llama-8b-fp8.recipe.py").read_text()
    ast.parse(text)
    assert 'scheme="FP8_DYNAMIC"' in text
    assert "'lm_head'" in text
    quantised = fp8("recipe", model(tmp_path, LLAMA_8B | DYNAMIC, "done"), "--out", tmp_path / "x")
    assert (quantised.exit_code, "is quantised already" in quantised.stderr) == (2, True)


def test_the_recipe_is_run_and_its_checkpoint_has_a_manifest(tmp_path: Path) -> None:
    """By a Python that stands in for the one with llm-compressor: it writes what that one would."""
    out, source = tmp_path / "llama-8b-fp8", model(tmp_path)
    other = tmp_path / "python"
    config = json.dumps(LLAMA_8B | DYNAMIC)
    made = {"model.safetensors": "w", "config.json": config, "made_with.json": '{"llmcompressor": "0.14.0.1"}'}
    lines = "".join(f"echo '{text}' > {name}\n" for name, text in made.items())
    other.write_text(f"#!/bin/sh\nmkdir -p {out} && cd {out}\n{lines}")
    other.chmod(0o755)
    done = fp8("recipe", source, "--out", out, "--run", other)
    assert done.exit_code == 0, done.output
    told = json.loads(fp8("manifest", out, "--json").stdout)
    assert (told["scheme"], told["problem"]) == ("FP8 W8A8, dynamic activations", None)
    assert told["made_with"] == {"llmcompressor": "0.14.0.1"}
    assert len(told["source_sha256"]) == len(told["sha256"]) == 64
    again = fp8("recipe", source, "--out", out, "--run", other)
    assert "holds a checkpoint with a manifest" in again.stderr
    (out / "model.safetensors").write_text("other")
    changed = fp8("manifest", out)
    assert (changed.exit_code, "model.safetensors has changed" in changed.stdout) == (1, True)
    (out / "model.safetensors").unlink()
    assert "holds no weights" in fp8("manifest", out).stderr


def test_a_recipe_that_fails_says_what_it_needs(tmp_path: Path) -> None:
    done = fp8("recipe", model(tmp_path), "--out", tmp_path / "x", "--run", "/bin/false")
    assert done.exit_code == 2
    assert "ended with 1; what it needs: /bin/false -m pip install torch llmcompressor" in done.stderr


def test_the_command_and_the_kubernetes_manifest(tmp_path: Path) -> None:
    made = model(tmp_path, LLAMA_8B | DYNAMIC, "Llama-8B_fp8")
    words = shlex.split(fp8("serve", made, "--gpus", 2).stdout)
    assert words[:3] == ["vllm", "serve", str(made)]
    assert words[words.index("--served-model-name") + 1] == "Llama-8B_fp8"
    assert "--enable-prefix-caching" in words
    service, workload = yaml.safe_load_all(fp8("serve", made, "--kubernetes", "--replicas", 3).stdout)
    assert (service["metadata"]["name"], workload["spec"]["replicas"]) == ("llama-8b-fp8", 3)
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    (volume, _) = container["volumeMounts"]
    assert container["command"][:3] == ["vllm", "serve", f"{volume['mountPath']}/Llama-8B_fp8"]


@pytest.fixture
def served() -> Iterator[Any]:
    started: list[tuple[subprocess.Popen[bytes], Port]] = []

    def up(**settings: Any) -> str:
        port = Port()
        words = [sys.executable, "-m", "tests.vllm_pages", str(port.number), json.dumps(settings)]
        started.append((subprocess.Popen(words, cwd=Path(__file__).parents[3]), port))
        url = f"http://{HOST}:{port.number}"
        assert soon(lambda: http_ok(f"{url}/version"))
        return url

    yield up
    for process, port in started:
        process.kill()
        process.wait()
        port.release()


@pytest.mark.parametrize(("settings", "code", "words"), [
    ({"root": "/m/fp8", "quantization": "compressed-tensors"}, 0, "the server reports compressed-tensors"),
    ({"root": "/m/fp8", "development": False}, 0, "reports nothing of it (VLLM_SERVER_DEV_MODE=1 tells)"),
    ({"root": "/m/fp8", "quantization": "fp8"}, 1, "dynamic activations, and the server says fp8"),
    ({"root": "/m/fp8"}, 1, "the server runs it unquantised"),
    ({"root": "/m/bf16", "quantization": "compressed-tensors"}, 1, "No: it serves /m/bf16, not"),
])  # fmt: skip
def test_a_server_is_asked_what_it_really_runs(
    served: Any, tmp_path: Path, settings: dict[str, Any], code: int, words: str
) -> None:
    done = fp8("serve", model(tmp_path, LLAMA_8B | DYNAMIC, "fp8"), "--verify", served(**settings))
    assert done.exit_code == code, done.output
    assert words in " ".join(done.stdout.split())


def test_a_bf16_checkpoint_that_is_quantised_online_is_named(served: Any, tmp_path: Path) -> None:
    url = served(root="/m/bf16", quantization="fp8")
    done = fp8("serve", model(tmp_path, LLAMA_8B, "bf16"), "--verify", url)
    assert (done.exit_code, "is not quantised, and the server runs fp8" in done.stdout) == (1, True)
