"""How a checkpoint is quantised: the script that llm-compressor runs, in an environment of its own. Pure.

FP8_DYNAMIC: weights per channel, activations per token while serving, no calibration texts. `lm_head` and the routers
of mixtures of experts stay as they are: small, and what they decide is not averaged out (vLLM's documentation of
llm-compressor, FP8 W8A8, 2026-11).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fivelevers.levers.quantization.checkpoint import BF16, scheme_of

KEPT: Final = (
    "lm_head",
    "re:.*mlp.gate$",
    "re:.*block_sparse_moe.gate$",
    "re:.*mlp.shared_expert_gate$",
    "re:.*router.*",
)
MADE_WITH: Final = "made_with.json"
REQUIREMENTS: Final = ("torch", "llmcompressor>=0.14")
_SCRIPT: Final = '''\
"""Quantises {source} to FP8_DYNAMIC. Run it in an environment with llm-compressor, never in vLLM's."""

import json
from importlib.metadata import version
from pathlib import Path

from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import QuantizationModifier
from transformers import AutoModelForCausalLM, AutoTokenizer

SOURCE, OUT = {source!r}, {out!r}
KEPT = {kept!r}

model = AutoModelForCausalLM.from_pretrained(SOURCE, dtype="auto")
oneshot(model=model, recipe=QuantizationModifier(targets="Linear", scheme="FP8_DYNAMIC", ignore=KEPT))
model.save_pretrained(OUT, save_compressed=True)
AutoTokenizer.from_pretrained(SOURCE).save_pretrained(OUT)
used = ("llmcompressor", "compressed-tensors", "transformers", "torch")
Path(OUT, {made_with!r}).write_text(json.dumps({{name: version(name) for name in used}}))
'''


def script(source: str, out: str) -> str:
    """Python. ``source``: a folder or a model's name on the hub; ``out``: the folder of the new checkpoint."""
    return _SCRIPT.format(source=source, out=out, kept=list(KEPT), made_with=MADE_WITH)


def refusal(config: Mapping[str, Any]) -> str | None:
    """Why a source can not be quantised; None where it can."""
    scheme = scheme_of(config)
    return None if scheme == BF16 else f"is quantised already ({scheme.name}); name the original it was made from"
