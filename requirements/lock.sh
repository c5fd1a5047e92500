#!/bin/sh
# Resolve the locked requirements anew, with hashes and without the address of any index. uv runs from a venv that is
# thrown away: nothing else needs it.
set -eu
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP
"${PYTHON:-python3}" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --quiet --disable-pip-version-check uv
compile() {
    "$scratch/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-header --no-emit-index-url --no-emit-find-links "$@"
}
compile --extra demo pyproject.toml requirements/build.in --output-file requirements/demo.txt
# Constrained by the first: what the tests run with is what the demo runs with.
compile --extra test pyproject.toml requirements/build.in --constraints requirements/demo.txt \
    --output-file requirements/test.txt
