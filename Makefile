# `make help` says what there is. Needs Linux on x86-64, Python 3.11 or newer (PYTHON=...) and a package index.
# Recipes `exec`, so that a signal which make passes on reaches the program and not a shell in between.
SHELL := /bin/sh
PYTHON ?= python3
ARGS ?=
BENCHMARKS := $(patsubst benchmarks/%.py,%,$(wildcard benchmarks/[a-z]*.py))

.DEFAULT_GOAL := help
.PHONY: help demo test test-vllm lint types bench chaos lock clean install-demo install-test

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 10

demo: install-demo ## Start the embedded stack, replay the example traffic, print the report and the bill
	@exec .venv/bin/fivelevers demo $(ARGS)

test: install-test ## Run all tests (ARGS="-k name" for some of them)
	@exec .venv/bin/python -m pytest -n 2 --dist loadgroup $(ARGS)

test-vllm: install-test ## Lever 5 on real vLLM and llm-compressor, on the CPU: ten minutes, and 5 GB of packages
	@tests/vllm/install.sh
	@FIVELEVERS_TEST_VLLM=1 exec .venv/bin/python -m pytest -s tests/vllm $(ARGS)

lint: install-test ## Check style
	@exec .venv/bin/ruff check $(ARGS) .

types: install-test ## Check types
	@exec .venv/bin/mypy $(ARGS)

bench: install-test $(BENCHMARKS:%=bench-%) ## Run every benchmark in its quick form (python -m benchmarks.NAME gives figures)

chaos: install-test ## Kill the batch lane's workers and its Redis while requests come in, and count what went wrong
	@exec .venv/bin/python -m benchmarks.batch_chaos $(ARGS)

lock: ## Resolve the locked requirements anew
	@PYTHON="$(PYTHON)" exec requirements/lock.sh

clean: ## Remove the virtual environment, state and caches
	@rm -rf .venv .fivelevers build dist .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

bench-%: install-test
	@exec .venv/bin/python -m benchmarks.$* --quick $(ARGS)

install-demo:
	@exec $(PYTHON) requirements/install.py demo

install-test:
	@exec $(PYTHON) requirements/install.py test
