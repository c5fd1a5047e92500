"""Sizes and schemes, by configs as real checkpoints have them."""

from __future__ import annotations

from typing import Any

import pytest

from fivelevers.levers.quantization.checkpoint import BF16, FP8_DYNAMIC, scheme_of, shape_of

LLAMA_8B: dict[str, Any] = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}
MIXTRAL: dict[str, Any] = {**LLAMA_8B, "vocab_size": 32000, "num_local_experts": 8}


def grouped(kind: str, bits: int, activations: dict[str, Any] | None) -> dict[str, Any]:
    group = {"weights": {"type": kind, "num_bits": bits}, "input_activations": activations}
    return {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"group_0": group}}}


def test_llama_8b_has_the_weights_that_its_card_says() -> None:
    shape = shape_of(LLAMA_8B)
    assert shape.linear + shape.kept == pytest.approx(8.03e9, rel=0.001)
    assert shape.bf16_bytes == pytest.approx(16.06e9, rel=0.001)
    assert shape.fp8_bytes == pytest.approx(9.08e9, rel=0.001)  # 7.0 in FP8 and 1.05 in BF16
    assert shape.kv_bytes_per_token == 128 * 1024


def test_mixtral_counts_every_expert() -> None:
    shape = shape_of(MIXTRAL)
    assert shape.linear + shape.kept == pytest.approx(46.7e9, rel=0.002)
    assert shape.experts == 8


def test_tied_embeddings_count_once_and_text_configs_are_found() -> None:
    tied = shape_of({"text_config": {**LLAMA_8B, "tie_word_embeddings": True}})
    assert shape_of(LLAMA_8B).kept - tied.kept == 128256 * 4096


def test_a_config_that_says_too_little_is_named() -> None:
    with pytest.raises(ValueError, match="vocab_size"):
        shape_of({name: value for name, value in LLAMA_8B.items() if name != "vocab_size"})


def test_our_recipes_scheme_is_known() -> None:
    found = grouped("float", 8, {"type": "float", "num_bits": 8, "dynamic": True})
    assert scheme_of(found) == FP8_DYNAMIC
    assert scheme_of(LLAMA_8B) == BF16


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (grouped("int", 8, {"type": "int", "num_bits": 8, "dynamic": True}), "W8A8 int"),
        (grouped("int", 4, None), "W4A16 int"),
        (grouped("float", 8, {"type": "float", "num_bits": 8, "dynamic": False}), "static"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "awq"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "gptq"),
        ({"quantization_config": {"quant_method": "fp8"}}, "fp8"),
        ({"quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}}, "FP8"),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, "unknown"),
    ],
)
def test_another_scheme_is_recognised_and_never_assumed_safe(config: dict[str, Any], name: str) -> None:
    found = scheme_of(config)
    assert name in found.name
    assert not found.known
    assert "gate" in found.warning
