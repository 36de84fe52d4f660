#!/usr/bin/env bash
# Runs the clients that people already have against a server of this crate.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. ../support/install.sh

command -v npm >/dev/null || install "Node.js (20 or later)" nodejs npm
npm ci --no-audit --no-fund --silent
# The packet reader against npm's own, which is there only now; the server is built with it.
cargo test --locked --test parser_corpus
target="$(cargo metadata --no-deps --format-version 1 --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')"
export TICKCAST="$target/debug/tickcast"
# Each file has servers of its own.
timeout 300 node --test ./*.test.mjs

# Python's packages go where nothing else is.
python="$target/stock-clients-python"
if ! "$python/bin/python" -m pip --version >/dev/null 2>&1; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || install "Python 3 with venv" python3 python3-venv
    python3 -m venv --clear "$python"
fi
"$python/bin/python" -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
timeout 300 "$python/bin/python" python_client.py
