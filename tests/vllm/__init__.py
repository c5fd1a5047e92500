"""Lever 5 on real vLLM, on a CPU: `make test-vllm`. Skipped where its environments were not made."""
