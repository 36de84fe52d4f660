#!/usr/bin/env bash
# Runs the clients that people already have against a server of this crate.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

if ! command -v npm >/dev/null; then
    echo "skipped: npm is not installed"
    exit 0
fi
npm ci --no-audit --no-fund --silent
# The packet reader against npm's own, which is there only now.
cargo test --locked --test parser_corpus
tickcast="${CARGO_TARGET_DIR:-../../target}/debug/tickcast"
[ -x "$tickcast" ] || cargo build --locked
export JWT_SECRET="a secret of thirty-two bytes or so"
log="$(mktemp)"
"$tickcast" serve --listen 127.0.0.1:0 --source simulated --symbols BTCUSDT,BTC/USD 2>"$log" &
server=$!
trap 'kill "$server" 2>/dev/null; rm -f "$log"' EXIT
address=""
for _ in $(seq 100); do
    address="$(sed -n 's/.*listening address=\([0-9.:]*\).*/\1/p' "$log")"
    [ -z "$address" ] || break
    sleep 0.1
done
[ -n "$address" ] || { cat "$log" >&2; exit 1; }
token="$("$tickcast" token --user u1)"
timeout 240 node gateways.mjs "http://$address" "$token"
if python3 -c 'import socketio, websocket, requests' 2>/dev/null; then
    timeout 120 python3 python_client.py "http://$address" "$token"
else
    echo "skipped: python-socketio is not installed (pip install 'python-socketio[client]==5.18.1')"
fi
