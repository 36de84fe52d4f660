#!/usr/bin/env bash
# The one command that tests everything: format, lints, tests, benches as tests, docs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

step() {
    printf '\n== %s\n' "$1"
}

# Some dependencies (mimalloc, ring, zstd) bring C that is compiled with them.
if ! command -v cc >/dev/null; then
    step "C compiler"
    if ! command -v apt-get >/dev/null; then
        echo "no C compiler: install one that answers to 'cc' and run this again" >&2
        exit 1
    fi
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo"
    $as_root apt-get update
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends gcc libc6-dev
fi

step "format"
cargo fmt --check

step "lints"
cargo clippy --all-targets --locked -- -D warnings

step "tests"
cargo test --locked

step "the page, in a browser"
bash tests/browser/run.sh

step "stock Socket.IO clients"
bash tests/clients/run.sh

step "benches, once each"
cargo test --benches --locked

step "docs"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --locked

step "all passed"
