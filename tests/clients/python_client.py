"""python-socketio against Maven's gateway: python_client.py URL TOKEN."""

import sys
import threading

import socketio

url, token = sys.argv[1:]
for transports in (["websocket"], ["polling"], ["polling", "websocket"]):
    client = socketio.Client()
    heard = {}
    events = {name: threading.Event() for name in ("connected", "ticker.update", "orderbook.update")}
    for name, event in events.items():
        def on(value, name=name, event=event):
            heard[name] = value
            event.set()
        client.on(name, on, namespace="/ws")
    client.connect(url, transports=transports, namespaces=["/ws"], auth={"token": token})
    assert events["connected"].wait(15), "no connected"
    assert heard["connected"]["userId"] == "u1", heard
    answer = client.call("subscribe", {"channel": "ticker", "symbol": "BTCUSDT"}, namespace="/ws", timeout=15)
    assert answer["room"] == "ticker:BTCUSDT", answer
    client.emit("subscribe", {"channel": "orderbook", "symbol": "BTCUSDT"}, namespace="/ws")
    assert events["ticker.update"].wait(15) and events["orderbook.update"].wait(15), heard
    client.disconnect()
    print("ok: python-socketio over", ", ".join(transports))
