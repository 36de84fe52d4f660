#!/usr/bin/env bash
# The page: that dist/ is what its sources give, its unit tests, and the whole of it in a real browser.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

install() {
    if ! command -v apt-get >/dev/null; then
        echo "no $1: install it and run this again" >&2
        exit 1
    fi
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo"
    $as_root apt-get update
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${@:2}"
}

command -v node >/dev/null || install "Node.js (20 or later)" nodejs npm
if [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
    echo "Node.js $(node --version) is too old to test the page with: 20 or later is needed" >&2
    exit 1
fi
browser="$(command -v chromium || command -v chromium-browser || true)"
if [ -z "$browser" ]; then
    install "Chromium" chromium fonts-dejavu-core
    browser="$(command -v chromium)"
fi

(cd web && npm ci --no-audit --no-fund && npm run check && npm test && node build.mjs --check)
# The stock client, for a page that uses it.
(cd tests/clients && npm ci --no-audit --no-fund --silent)
cargo build --bin tickcast --locked
target="$(cargo metadata --no-deps --format-version 1 --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')"
CHROMIUM="$browser" TICKCAST="$target/debug/tickcast" node --test tests/browser/*.test.mjs
