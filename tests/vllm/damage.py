"""A damaged copy of an FP8 checkpoint: `gross`, all scales at 0.3 of what they were; `mild`, those of the first layer
off by 10 to 30 %, either way. Run by llm-compressor's Python.
"""

import shutil
import sys
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

source, out, kind = sys.argv[1:]
shutil.copytree(source, out, ignore=shutil.ignore_patterns("fivelevers-manifest.json"))
file, chance = Path(out) / "model.safetensors", torch.Generator().manual_seed(1)
with safe_open(file, "pt") as opened:
    about, tensors = opened.metadata(), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
scales = [name for name in tensors if name.endswith("weight_scale") and (kind == "gross" or "layers.0." in name)]
assert scales
for name in scales:
    was = tensors[name]
    off = 0.1 + 0.2 * torch.rand(was.shape, generator=chance)
    sign = torch.where(torch.rand(was.shape, generator=chance) < 0.5, -1.0, 1.0)
    factor = 0.3 if kind == "gross" else 1 + sign * off
    tensors[name] = (was.float() * factor).to(was.dtype)
save_file(tensors, file, metadata=about)
