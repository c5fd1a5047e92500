"""What FP8 is worth on a GPU: ceilings of the matrix products, then a random-weight 8B served by vLLM. One call, one
file.

    python -m benchmarks.fp8_gpu --json OUT          # on the GPU's host, by a Python that has torch, and vLLM for part
    2 python -m benchmarks.fp8_gpu --tiny --json OUT   # tiny shapes and a tiny model, also on a CPU: whether it runs

Part 1, "gemm": rowwise-scaled e4m3 products (`torch._scaled_mm`) against BF16 ones at Llama 8B's shapes, for M tokens
at once, with and without quantising the activations first: a ceiling, no throughput of a server. Part 2, "serving":
output tokens a second, time to the first token and the memory left for the KV cache, BF16 and FP8_DYNAMIC, at several
concurrencies, each in a process of its own. Speed needs no real weights. Needs nothing of this project installed.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

# (K, N) of Llama 8B: attention in (q, k, v), attention out, feed-forward in (gate, up), feed-forward out.
SHAPES = {"qkv": (4096, 6144), "out": (4096, 4096), "gate_up": (4096, 28672), "down": (14336, 4096)}
TOKENS = (1, 8, 32, 128, 512, 2048, 8192)
CONCURRENCY = (1, 8, 64, 256)
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "head_dim": 128,
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "torch_dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip
TINY = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 1024, "max_position_embeddings": 512}  # fmt: skip
_KIND = {"type": "float", "num_bits": 8, "symmetric": True}
FP8 = {
    "quant_method": "compressed-tensors", "format": "float-quantized", "ignore": ["lm_head"],
    "quantization_status": "compressed",
    "config_groups": {"group_0": {
        "targets": ["Linear"],
        "weights": {**_KIND, "strategy": "channel", "dynamic": False},
        "input_activations": {**_KIND, "strategy": "token", "dynamic": True},
    }},
}  # fmt: skip

Figures = dict[str, Any]


def main() -> None:
    args = _arguments()
    if args.serve:
        print(json.dumps(_serving(*json.loads(args.serve))))
        return
    if find_spec("torch") is None:
        print("benchmarks.fp8_gpu: torch is not here; run it on the GPU's host")
        return
    result = _about() | {"gemm": _gemm(tiny=args.tiny), "serving": _both(tiny=args.tiny)}
    result["command"] = f"python -m benchmarks.fp8_gpu{' --tiny' if args.tiny else ''}"
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fp8_gpu", description=__doc__.partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures to this file")
    parser.add_argument("--tiny", "--quick", action="store_true", help="tiny shapes, also on a CPU: no figures")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    return parser.parse_args()


def _about() -> Figures:
    import torch

    gpu = torch.cuda.is_available()
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "device": torch.cuda.get_device_name() if gpu else f"CPU, {platform.machine()}",
        "compute_capability": list(torch.cuda.get_device_capability()) if gpu else None,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
    }


def _gemm(*, tiny: bool) -> list[Figures]:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    shapes, sizes = ({"tiny": (256, 512)}, (1, 32)) if tiny else (SHAPES, TOKENS)
    return [_product(name, *shape, m, device) for name, shape in shapes.items() for m in sizes]


def _product(name: str, k: int, n: int, m: int, device: str) -> Figures:
    """Microseconds of each; TFLOP/s of BF16 and of FP8 with its activations quantised already."""
    import torch

    x, w = (torch.randn(rows, k, device=device, dtype=torch.bfloat16) for rows in (m, n))
    qw, sw = _quantised(w)
    qx, sx = _quantised(x)

    def fp8(a: Any, scale: Any) -> Any:
        return torch._scaled_mm(a, qw.t(), scale_a=scale, scale_b=sw.t(), out_dtype=torch.bfloat16)

    try:
        us = {
            "bf16_us": _time(lambda: x @ w.t(), device),
            "fp8_us": _time(lambda: fp8(qx, sx), device),
            "fp8_with_quantising_us": _time(lambda: fp8(*_quantised(x)), device),
        }
    except (RuntimeError, ValueError) as error:
        return {"shape": name, "m": m, "k": k, "n": n, "error": str(error).splitlines()[0]}
    flops = 2 * m * k * n
    rates = {f"{kind}_tflops": round(flops / us[f"{kind}_us"] / 1e6, 2) for kind in ("bf16", "fp8")}
    gains = {
        "gain": round(us["bf16_us"] / us["fp8_us"], 3),
        "gain_net": round(us["bf16_us"] / us["fp8_with_quantising_us"], 3),
    }
    return {
        "shape": name,
        "m": m,
        "k": k,
        "n": n,
        **{kind: round(one, 2) for kind, one in us.items()},
        **rates,
        **gains,
    }


def _quantised(x: Any) -> tuple[Any, Any]:
    """Row by row, as FP8_DYNAMIC does it: e4m3 values and a float32 scale each."""
    import torch

    most = torch.finfo(torch.float8_e4m3fn).max
    scale = (x.abs().amax(dim=1, keepdim=True).float() / most).clamp(min=1e-12)
    return (x.float() / scale).clamp(-most, most).to(torch.float8_e4m3fn), scale


def _time(run: Callable[[], Any], device: str) -> float:
    """Median of 20 rounds, in microseconds a call."""
    import torch

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    calls = 20 if device == "cuda" else 2
    for _ in range(3):
        run()
    wait()
    found = []
    for _ in range(20):
        started = time.perf_counter()
        for _ in range(calls):
            run()
        wait()
        found.append((time.perf_counter() - started) / calls * 1e6)
    return median(found)


def _both(*, tiny: bool) -> list[Figures] | str:
    if find_spec("vllm") is None:
        return "vLLM is not here"
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for name, more in (("bf16", {}), ("fp8", {"quantization_config": FP8})):
            model = Path(folder) / name
            model.mkdir()
            config = {**LLAMA, **(TINY if tiny else {}), **more}
            (model / "config.json").write_text(json.dumps(config))
            for at_once in (1, 4) if tiny else CONCURRENCY:
                words = json.dumps([str(model), at_once, 32 if tiny else 512, 8 if tiny else 128])
                done = subprocess.run(
                    [sys.executable, __file__, "--serve", words], capture_output=True, text=True, check=False
                )
                last = (done.stdout.strip().splitlines() or [""])[-1]
                said = json.loads(last) if last.startswith("{") else {"error": done.stderr.strip()[-400:]}
                found.append({"model": name, "concurrency": at_once, **said})
    return found


def _serving(model: str, at_once: int, prompt: int, answer: int) -> Figures:
    """Closed loop: so many sequences at once, three rounds of them, after one that warms up."""
    from vllm import LLM, SamplingParams

    size = prompt + answer + 16
    made = LLM(model, load_format="dummy", skip_tokenizer_init=True, max_model_len=size, max_num_seqs=at_once)
    params = SamplingParams(max_tokens=answer, min_tokens=answer, ignore_eos=True, temperature=0, detokenize=False)
    one = SamplingParams(max_tokens=1, temperature=0, detokenize=False)

    def prompts(seed: int, count: int) -> list[Any]:
        """All different, so that no prefix is read twice."""
        return [{"prompt_token_ids": [(seed * 131 + at * 17 + j) % 1000 for j in range(prompt)]} for at in range(count)]

    made.generate(prompts(0, at_once), params, use_tqdm=False)
    started = time.perf_counter()
    made.generate(prompts(1, 1), one, use_tqdm=False)
    first_s = time.perf_counter() - started
    started = time.perf_counter()
    done = made.generate(prompts(2, 3 * at_once), params, use_tqdm=False)
    took = time.perf_counter() - started
    tokens = sum(len(each.outputs[0].token_ids) for each in done)
    blocks = getattr(made.llm_engine.vllm_config.cache_config, "num_gpu_blocks", None)
    return {
        "output_tokens_per_s": round(tokens / took, 1),
        "ttft_alone_ms": round(1000 * first_s, 1),
        "kv_blocks": blocks,
        "prompt_tokens": prompt,
        "output_tokens": answer,
    }


if __name__ == "__main__":
    main()
