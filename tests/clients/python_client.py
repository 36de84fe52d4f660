"""python-socketio against both gateways: TICKCAST=... python_client.py."""

import base64
import hmac
import json
import os
import queue
import re
import socket as sockets
import subprocess
import tempfile

import requests
import socketio

PATIENCE = 30
TICKCAST = os.environ["TICKCAST"]
ENVIRONMENT = {**os.environ, "JWT_SECRET": "a secret of thirty-two bytes or so"}


class Server:
    """A market of two symbols, on a port that stays the same when it is started again."""

    def __init__(self, folder):
        with sockets.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.url = f"http://{self.address}"
        self.command = [TICKCAST, "serve", "--listen", self.address, "--source", "simulated", "--rate", "100",
                        "--symbols", "BTCUSDT,BTC/USD", "--data-dir", folder]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for line in self.process.stderr:
            if b"listening" in line:
                return
        raise AssertionError("the server ended")

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()

    def token(self, user, *more):
        made = subprocess.run([TICKCAST, "token", "--user", user, *more], env=ENVIRONMENT, check=True, capture_output=True)
        return made.stdout.decode().strip()

    def expired(self, user):
        """What was right in 1970."""
        def part(value):
            return base64.urlsafe_b64encode(value).rstrip(b"=")
        claims = json.dumps({"sub": user, "exp": 1}).encode()
        text = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(claims)
        signature = hmac.digest(ENVIRONMENT["JWT_SECRET"].encode(), text, "sha256")
        return (text + b"." + part(signature)).decode()

    def publish(self, *objects):
        headers = {"Authorization": f"Bearer {self.token('backend', '--scope', 'publish')}"}
        answer = requests.post(f"{self.url}/publish", headers=headers, json=list(objects), timeout=PATIENCE)
        assert answer.ok and answer.json()["rejected"] == [], answer.text


class Client:
    """One client in one namespace, and what it heard."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.client = socketio.Client(reconnection_delay=0.1, reconnection_delay_max=0.5)
        self.events = {}
        self.client.on("*", self.note, namespace=namespace)
        for name in ("connect_error", "disconnect"):
            self.client.on(name, lambda *said, name=name: self.note(name, *said), namespace=namespace)

    def note(self, name, *said):
        self.events.setdefault(name, queue.Queue()).put(said[0] if said else None)

    def connect(self, url, transports, auth=None, headers=None):
        options = {"auth": auth, "headers": headers or {}, "namespaces": [self.namespace], "wait_timeout": PATIENCE}
        self.client.connect(url, **({"transports": transports} if transports else {}), **options)
        return self.hear("connected")

    def hear(self, name, fits=lambda value: True):
        while True:
            value = self.events.setdefault(name, queue.Queue()).get(timeout=PATIENCE)
            if fits(value):
                return value

    def ask(self, name, *argument):
        return self.client.call(name, *argument, namespace=self.namespace, timeout=PATIENCE)

    def agree(self, told, name, *argument):
        """What an event answers its callback is what the client is told besides."""
        answer = self.ask(name, *argument)
        assert self.hear(told, lambda value: value == answer), answer
        return answer

    def fault(self, *words):
        code = self.agree("error", *words)["code"]
        assert self.client.connected, "errors disconnect nobody"
        return code

    def close(self):
        self.client.disconnect()


def maven(server, transports):
    client = Client("/ws")
    connected = client.connect(server.url, transports, {"token": server.token("u1")})
    assert connected["userId"] == "u1" and isinstance(connected["timestamp"], int), connected
    for wanted, event, room in [
        ({"channel": "ticker", "symbol": "BTCUSDT"}, "ticker.update", "ticker:BTCUSDT"),
        ({"channel": "ticker"}, "tickers.update", "ticker:all"),
        ({"channel": "orderbook", "symbol": "BTCUSDT"}, "orderbook.update", "orderbook:BTCUSDT"),
        ({"channel": "trades", "symbol": "BTC/USD"}, "trade", "trades:BTC/USD"),
        ({"channel": "klines", "symbol": "BTCUSDT", "interval": "1m"}, "kline.update", "klines:BTCUSDT:1m"),
    ]:
        assert client.agree("subscribed", "subscribe", wanted)["room"] == room
        assert client.hear(event)["room"] == room
        assert client.agree("unsubscribed", "unsubscribe", wanted)["room"] == room
    assert client.agree("subscribed", "subscribe.private", {"channel": "user.orders"})["room"] == "user:u1:orders"
    server.publish({"type": "order.created", "userId": "u1", "data": {"orderId": "1"}})
    assert client.hear("order.created")["data"] == {"orderId": "1"}
    assert client.fault("subscribe", {"channel": "nope"}) == "UNKNOWN_TOPIC"
    assert client.fault("subscribe", {"channel": "trades", "symbol": "NOPE"}) == "UNKNOWN_SYMBOL"
    client.agree("pong", "ping")
    client.close()


def tradewithai(server, transports):
    client = Client("/")
    connected = client.connect(server.url, transports, {"token": server.token("u2")})
    assert connected["userId"] == "u2" and re.fullmatch(r"[-T:.0-9]+Z", connected["timestamp"]), connected
    assert client.hear("connection-count")["count"] >= 1
    wanted = {"channel": "market-data", "symbols": ["BTC/USD"]}
    assert client.agree("subscribed", "subscribe", wanted)["room"] == "market-data:BTC/USD"
    for event in ("ticker:update", "price:update", "orderbook:update", "trade:executed", "candle:update"):
        assert client.hear(event)["symbol"] == "BTC/USD"
    listed = client.agree("subscriptions", "get-subscriptions")
    assert (listed["subscriptions"], listed["count"]) == (["market-data:BTC/USD"], 1)
    client.agree("unsubscribed", "unsubscribe", wanted)
    server.publish({"type": "position.opened", "userId": "u2", "data": {"positionId": "1"}})
    assert client.hear("position:opened") == {"positionId": "1"}
    assert client.fault("subscribe", {"channel": "nope"}) == "UNKNOWN_TOPIC"
    assert client.fault("subscribe", {"channel": "market-data", "symbols": ["NOPE"]}) == "UNKNOWN_SYMBOL"
    client.agree("pong", "ping")
    client.close()


def tokens(server, transports):
    right = server.token("u1")
    for namespace in ("/", "/ws"):
        for place in places(right):
            client = Client(namespace)
            assert client.connect(server.url + place.pop("query", ""), transports, **place)["userId"] == "u1"
            client.close()
        for token in ("wrong", server.expired("u1")):
            for place in places(token):
                refused(namespace, server.url + place.pop("query", ""), transports, **place)
    refused("/", server.url, transports)
    nobody = Client("/ws")
    assert nobody.connect(server.url, transports)["userId"] is None
    assert nobody.fault("subscribe.private", {"channel": "user.orders"}) == "UNAUTHORIZED"
    nobody.close()


def places(token):
    return [{"auth": {"token": token}}, {"query": f"?token={token}"}, {"headers": {"Authorization": f"Bearer {token}"}}]


def refused(namespace, url, transports, **place):
    client = Client(namespace)
    try:
        client.connect(url, transports, **place)
    except socketio.exceptions.ConnectionError:
        told = client.hear("connect_error")
        assert told["data"]["code"] == "UNAUTHORIZED" and told["message"].startswith("UNAUTHORIZED: "), told
    else:
        raise AssertionError(f"{place} was let in")


def restart(server):
    clients = []
    for transports in TRANSPORTS:
        for namespace, event, wanted in [
            ("/ws", "trade", {"channel": "trades", "symbol": "BTCUSDT"}),
            ("/", "trade:executed", {"channel": "market-data", "symbols": ["BTCUSDT"]}),
        ]:
            client = Client(namespace)
            client.connect(server.url, transports, {"token": server.token("u1")})
            clients.append((client, event, wanted))
    for client, event, wanted in clients:
        client.ask("subscribe", wanted)
        client.hear(event)
    server.kill()
    for client, _, _ in clients:
        client.hear("disconnect")
        client.events.clear()
    server.start()
    for client, event, wanted in clients:
        client.hear("connected")
        client.ask("subscribe", wanted)
        client.hear(event)
        client.close()


TRANSPORTS = (["websocket"], ["polling"], None)

with tempfile.TemporaryDirectory() as folder:
    server = Server(folder)
    try:
        for transports in TRANSPORTS:
            for scenario in (maven, tradewithai, tokens):
                scenario(server, transports)
                print(f"ok: python-socketio, {scenario.__name__} over {transports or 'its defaults'}", flush=True)
        restart(server)
        print("ok: python-socketio comes back to a server that was killed")
    finally:
        server.kill()
