#!/usr/bin/env bash
# The one command that tests everything: format, lints, tests, benches as tests, docs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. tests/support/install.sh

step() {
    printf '\n== %s\n' "$1"
}

# Some dependencies (mimalloc, ring, zstd) bring C that is compiled with them.
if ! command -v cc >/dev/null; then
    step "C compiler"
    install "C compiler: a program that answers to 'cc'" gcc libc6-dev
fi

step "format"
cargo fmt --check

step "lints"
cargo clippy --all-targets --locked -- -D warnings

step "tests"
cargo test --locked
for folder in data seeds; do
    [ -d "../shared/$folder" ] || echo "SKIPPED: the tests that need ../shared/$folder, which is not there"
done

step "the page, in a browser"
bash tests/browser/run.sh

step "stock Socket.IO clients"
bash tests/clients/run.sh

step "benches, once each"
cargo test --benches --locked

step "docs"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items --locked

step "all passed"
