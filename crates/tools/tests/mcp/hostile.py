"""A server of tools that is well until its tool `go` is called; then it does what its argument says."""

import json
import os
import signal
import sys
import time

MODE = sys.argv[1]
OUT = sys.stdout.buffer
SCHEMA = {"type": "object", "properties": {}}


def send(message):
    OUT.write(json.dumps(message).encode() + b"\n")
    OUT.flush()


def answer(number, text):
    send({"jsonrpc": "2.0", "id": number, "result": {"content": [{"type": "text", "text": text}]}})


def nested(levels):
    return b'{"items":' * levels + b"{}" + b"}" * levels


def deaf_child():
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:
            while True:
                time.sleep(1)
        while True:
            time.sleep(1)


def go(number):
    if MODE == "gigabytes":
        while True:
            OUT.write(b'{"jsonrpc":"2.0","x":"' + b"x" * (1 << 20))
    elif MODE == "lines":
        while True:
            OUT.write(b"x" * (1 << 20) + b"\n")
    elif MODE == "binary":
        OUT.write(os.urandom(1 << 16).replace(b"\n", b"") + b"\n\xff\xfe\x00\n\n\r\n[]\nnull\n7\n{}\n")
        OUT.write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"\xff\xfe"}]}}\n' % number)
        answer(number, "after all of it")
    elif MODE == "chatter":
        for _ in range(1 << 9):
            sys.stderr.buffer.write(b"\x1b[31m" + b"x" * (1 << 20))
        answer(number, "said")
    elif MODE == "requests":
        while True:
            OUT.write(b'{"jsonrpc":"2.0","id":"%d","method":"ping"}\n' % time.monotonic_ns() * 1000)
    elif MODE == "questions":
        form = {"message": "x" * (1 << 20), "requestedSchema": {"type": "object", "properties": {}}}
        while True:
            send({"jsonrpc": "2.0", "id": "q%d" % time.monotonic_ns(), "method": "elicitation/create", "params": form})
    elif MODE == "notifications":
        line = {"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x" * 1000}}
        while True:
            OUT.write((json.dumps(line).encode() + b"\n") * 1000)
    elif MODE == "changes":
        while True:
            OUT.write(b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n' * 1000)
    elif MODE == "progress":
        line = {"progressToken": 0, "progress": 1, "message": "x" * 1000}
        for token in range(32):
            line["progressToken"] = token
            send({"jsonrpc": "2.0", "method": "notifications/progress", "params": line})
        while True:
            for token in range(32):
                line["progressToken"] = token
                send({"jsonrpc": "2.0", "method": "notifications/progress", "params": line})
    elif MODE == "closed":
        OUT.close()
        os.close(1)
        while True:
            time.sleep(1)
    elif MODE == "forks":
        for _ in range(40):
            deaf_child()
        answer(number, "forked")
    elif MODE == "large":
        answer(number, "x" * (12 << 20))
    elif MODE == "deep":
        OUT.write(b'{"jsonrpc":"2.0","id":%d,"result":{"content":[],"structuredContent":%s}}\n' % (number, nested(10_000)))
    OUT.flush()


def tools():
    listed = [{"name": name, "description": name, "inputSchema": SCHEMA} for name in ("echo", "go")]
    return {"tools": listed}


def serve():
    if MODE in ("deaf", "forks"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MODE == "garbage":
        OUT.write(b"Welcome to the server!\n\x1b[2J\n" * 1000)
        OUT.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        number, method = asked.get("id"), asked.get("method")
        if method == "initialize":
            about = {"protocolVersion": "2025-11-25", "serverInfo": {"name": "h", "version": "1"}}
            capabilities = {"tools": {"listChanged": True}}
            send({"jsonrpc": "2.0", "id": number, "result": {**about, "capabilities": capabilities}})
        elif method == "tools/list" and MODE == "schema":
            deep = nested(10_000)
            OUT.write(b'{"jsonrpc":"2.0","id":%d,"result":{"tools":[{"name":"a","inputSchema":%s}]}}\n' % (number, deep))
            OUT.flush()
        elif method == "tools/list":
            send({"jsonrpc": "2.0", "id": number, "result": tools()})
        elif method == "tools/call" and asked["params"]["name"] == "go":
            go(number)
        elif method == "tools/call":
            answer(number, "well")
        elif number is not None and method:
            send({"jsonrpc": "2.0", "id": number, "error": {"code": -32601, "message": "what?"}})
    while MODE in ("deaf", "forks"):
        time.sleep(1)


serve()
