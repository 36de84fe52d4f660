#!/usr/bin/env bash
# The page: that dist/ is what its sources give, its unit tests, and the whole of it in a real browser.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/support/install.sh

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
# The very build that the tests have made: another set of features would build everything anew.
cargo test --locked --no-run --test tidy
target="$(cargo metadata --no-deps --format-version 1 --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')"
CHROMIUM="$browser" TICKCAST="$target/debug/tickcast" node --test tests/browser/*.test.mjs
