"""What a checkpoint is, by its config.json: its size, what its KV cache takes, and how it is quantised. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_ROUTED: Final = ("num_local_experts", "num_experts", "n_routed_experts")


@dataclass(frozen=True, slots=True)
class Shape:
    """``linear``: weights of the layers, which FP8 halves; ``kept``: embeddings and lm_head, which stay in BF16."""

    linear: int
    kept: int
    kv_values_per_token: int
    experts: int = 0

    @property
    def bf16_bytes(self) -> int:
        return 2 * (self.linear + self.kept)

    @property
    def fp8_bytes(self) -> int:
        return self.linear + 2 * self.kept

    @property
    def kv_bytes_per_token(self) -> int:
        """In BF16: an FP8 KV cache is another change of the answers, with another gate."""
        return 2 * self.kv_values_per_token


@dataclass(frozen=True, slots=True)
class Scheme:
    """``name`` as people say it. ``known``: the one of our recipe; ``warning``: what is said of others."""

    name: str
    known: bool = False
    warning: str = ""


BF16: Final = Scheme("none")
FP8_DYNAMIC: Final = Scheme("FP8 W8A8, dynamic activations", known=True)
_LOSES: Final = "1-3 % are lost on average and more on some tasks (arXiv 2411.02355); put it through the same gate"


def shape_of(config: Mapping[str, Any]) -> Shape:
    """Of a decoder with gated feed-forward layers, as Llama, Qwen, Mistral and Gemma are.

    Raises ValueError where the config does not say what it takes.
    """
    found = config.get("text_config", config)
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
    lacking = [name for name in names if not isinstance(found.get(name), int)]
    if lacking:
        raise ValueError(f"config.json: has no {', '.join(lacking)}; name the weights with --weights-gib instead")
    hidden, inner, layers, heads, vocabulary = (int(found[name]) for name in names)
    kv_heads, head = found.get("num_key_value_heads") or heads, found.get("head_dim") or hidden // heads
    experts = next((int(found[name]) for name in _ROUTED if found.get(name)), 0)
    attention = 2 * hidden * heads * head + 2 * hidden * kv_heads * head
    forward = 3 * hidden * (found.get("moe_intermediate_size") or inner if experts else inner) * max(experts, 1)
    kept = vocabulary * hidden * (1 if found.get("tie_word_embeddings", False) else 2) + layers * hidden * experts
    return Shape(layers * (attention + forward), kept, 2 * layers * kv_heads * head, experts)


def scheme_of(config: Mapping[str, Any]) -> Scheme:
    """By `quantization_config`; ModelOpt writes `quant_algo` into hf_quant_config.json instead: hand that in."""
    if "builder_config" in config or "pretrained_config" in config:
        return Scheme("TensorRT-LLM engine", warning=f"a TensorRT-LLM engine is not our recipe's; {_LOSES}")
    found = config.get("quantization_config") or config.get("quantization")
    if not found:
        return BF16
    method = str(found.get("quant_method") or found.get("quant_algo") or "unknown")
    if method != "compressed-tensors":
        return Scheme(method, warning=f"{method} is not our recipe's; {_LOSES}")
    groups = [group for group in found.get("config_groups", {}).values() if isinstance(group, dict)]
    kinds = {_kind(group) for group in groups}
    if kinds == {("float", 8, "float", 8)}:
        dynamic = all((group["input_activations"] or {}).get("dynamic") for group in groups)
        return FP8_DYNAMIC if dynamic else Scheme("FP8 W8A8, static activations", warning=_STATIC)
    name = ", ".join(sorted(f"W{bits}A{act_bits} {kind}" for kind, bits, _, act_bits in kinds)) or "unknown"
    return Scheme(name, warning=f"{name} is not FP8 W8A8; {_LOSES}")


_STATIC: Final = "its activation scales come from calibration texts: gate it on traffic that these do not resemble, too"


def _kind(group: Mapping[str, Any]) -> tuple[str, int, str, int]:
    weights, acts = group.get("weights") or {}, group.get("input_activations") or {}
    return (
        str(weights.get("type", "?")),
        int(weights.get("num_bits", 0)),
        str(acts.get("type", "float")),
        int(acts.get("num_bits", 16)),
    )
