"""A server of tools that speaks over its pipes: as old, as new, or as hostile as its arguments say."""

import json
import os
import sys
import threading
import time

ARGUMENTS = sys.argv[1:]
MODE = ARGUMENTS[0] if ARGUMENTS else "old"
LOCK = threading.Lock()
STATE = {"changed": False, "cancelled": [], "answers": {}, "log": os.environ.get("LOG")}


def note(text):
    if STATE["log"]:
        with open(STATE["log"], "a") as log:
            log.write(text + "\n")


def send(message):
    with LOCK:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def text(said, **more):
    return {"content": [{"type": "text", "text": said}], **more}


def tool(name, description, properties=None, **more):
    schema = {"type": "object", "properties": properties or {}}
    return {"name": name, "description": description, "inputSchema": schema, **more}


def tools():
    listed = [
        tool("echo", "Says what it hears.", {"text": {"type": "string"}}, annotations={"readOnlyHint": True}),
        tool("put", "Puts it there.", annotations={"idempotentHint": True}),
        tool("slow", "Takes its time.", {"seconds": {"type": "number"}}),
        tool("die", "Ends the server."),
        tool("change", "Changes the list."),
        tool("environment", "Shows variables."),
        tool("peek", "Reads a file.", {"path": {"type": "string"}}),
        tool("fail", "Says no."),
        tool("refuse", "Answers with an error."),
        tool("ask", "Asks for a name."),
        tool("roots", "Shows the roots."),
    ]
    if STATE["changed"]:
        listed[0]["description"] = "Says something else."
        listed.append(tool("new", "Was not there."))
    return listed


def ask(method, params):
    number = "s%d" % (len(STATE["answers"]) + 1)
    STATE["answers"][number] = None
    send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
    while STATE["answers"][number] is None:
        time.sleep(0.005)
    return STATE["answers"][number]


def call(identity, params):
    name, given = params["name"], params.get("arguments", {})
    note("call " + name)
    token = params.get("_meta", {}).get("progressToken")
    if name == "echo":
        return text(given["text"], structuredContent={"said": given["text"]})
    if name == "slow":
        end = time.time() + given["seconds"]
        while time.time() < end and identity not in STATE["cancelled"]:
            update = {"progressToken": token, "progress": 1, "message": "still at it"}
            send({"jsonrpc": "2.0", "method": "notifications/progress", "params": update})
            time.sleep(0.05)
        return text("done")
    if name == "die":
        print("it was asked to", file=sys.stderr, flush=True)
        os._exit(3)
    if name == "change":
        STATE["changed"] = True
        send({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        return text("changed")
    if name == "peek":
        try:
            with open(given["path"]) as file:
                return text(file.read())
        except OSError as error:
            return text(str(error), isError=True)
    if name == "environment":
        return text(json.dumps(dict(os.environ)))
    if name == "fail":
        return text("no", isError=True)
    if name == "ask" and MODE == "new" and "inputResponses" not in params:
        schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        wanted = {"method": "elicitation/create", "params": {"mode": "form", "message": "Who?", "requestedSchema": schema}}
        return {"resultType": "input_required", "inputRequests": {"who": wanted}, "requestState": "state"}
    if name == "ask" and MODE == "new":
        return text(json.dumps([params["inputResponses"], params["requestState"]]))
    if name == "ask" and MODE == "unasking":
        schema = {"type": "object", "properties": {"name": {"type": "string"}}}
        params = {"message": "Never mind", "requestedSchema": schema}
        send({"jsonrpc": "2.0", "id": "n1", "method": "elicitation/create", "params": params})
        ask("roots/list", {})
        send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "n1"}})
        ask("roots/list", {})
    if name == "ask":
        schema = {"type": "object", "properties": {"name": {"type": "string", "title": "Name"}}, "required": ["name"]}
        return text(json.dumps(ask("elicitation/create", {"message": "Who?", "requestedSchema": schema})))
    if name == "roots":
        return text(json.dumps(ask("roots/list", {})))
    return text("did " + name)


def answer(message):
    method, identity, params = message.get("method"), message.get("id"), message.get("params", {})
    note(str(method))
    if method is None:
        STATE["answers"][identity] = message.get("result", message.get("error"))
        return
    if method == "notifications/cancelled":
        STATE["cancelled"].append(params.get("requestId"))
        note("cancelled %s" % params.get("requestId"))
        return
    if identity is None:
        return
    has = {"tools": {"listChanged": True}, "resources": {}, "prompts": {}}
    about = {"capabilities": has, "serverInfo": {"name": "fake", "version": "1"}}
    if method == "initialize" and MODE != "new":
        result = {"protocolVersion": "2025-11-25", **about}
    elif method == "server/discover" and MODE == "new":
        result = {"supportedVersions": ["2026-07-28"], "resultType": "complete", "ttlMs": 0, "cacheScope": "private", **about}
    elif method == "tools/list" and MODE == "endless":
        result = {"tools": [tool("t%s" % params.get("cursor", ""), "x")], "nextCursor": str(int(params.get("cursor", 0)) + 1)}
    elif method == "tools/list" and MODE == "many":
        result = {"tools": [tool("t%d" % n, "x") for n in range(1000)]}
    elif method == "tools/list" and MODE == "hostile":
        deep = {}
        for _ in range(40):
            deep = {"items": deep}
        bad = [tool("remote", "x"), tool("deep", "x"), tool("bad name", "x"), tool("twice", "a"), tool("twice", "b")]
        bad[0]["inputSchema"] = {"type": "object", "properties": {"a": {"$ref": "https://127.0.0.1:1/s.json"}}}
        bad[1]["inputSchema"] = {"type": "object", "properties": {"a": deep}}
        result = {"tools": bad + [{"name": 7}] + [tool("good", "x\u001b[31m\u200b")]}
    elif method == "tools/list":
        result = {"tools": tools()}
    elif method == "tools/call" and params["name"] == "refuse":
        send({"jsonrpc": "2.0", "id": identity, "error": {"code": -32603, "message": "not\u001b[31m today"}})
        return
    elif method == "tools/call" and MODE == "mute-calls":
        return
    elif method == "tools/call" and MODE == "flood":
        while True:
            sys.stdout.write("x" * 65536)
    elif method == "tools/call" and MODE == "wrong":
        send({"jsonrpc": "2.0", "id": 999999, "result": text("not asked for")})
        send({"jsonrpc": "2.0", "id": "x", "result": text("not asked for")})
        sys.stdout.write("{nonsense\n[1,2\n\n\xff\n")
        send({"jsonrpc": "2.0", "id": identity, "result": text("right")})
        return
    elif method == "tools/call":
        result = call(identity, params)
    elif method == "resources/list":
        result = {"resources": [{"uri": "note:1", "name": "one", "description": "the first"}]}
    elif method == "resources/templates/list":
        result = {"resourceTemplates": [{"uriTemplate": "note:{n}", "name": "notes"}]}
    elif method == "resources/read":
        result = {"contents": [{"uri": params["uri"], "text": "what is in " + params["uri"]}]}
    elif method == "prompts/list":
        result = {"prompts": [{"name": "greet", "description": "greets", "arguments": [{"name": "who", "required": True}]}]}
    elif method == "prompts/get":
        who = params.get("arguments", {}).get("who")
        result = {"messages": [{"role": "user", "content": {"type": "text", "text": "Greet %s" % who}}]}
    else:
        send({"jsonrpc": "2.0", "id": identity, "error": {"code": -32601, "message": "no such method"}})
        return
    if MODE == "new":
        result.setdefault("resultType", "complete")
    send({"jsonrpc": "2.0", "id": identity, "result": result})


def main():
    if MODE == "mute":
        time.sleep(3600)
    if MODE == "broken":
        print("no such module", file=sys.stderr, flush=True)
        sys.exit(7)
    for line in sys.stdin:
        message = json.loads(line)
        if MODE == "strict" and message.get("method") == "server/discover":
            sys.exit(9)
        threading.Thread(target=answer, args=(message,), daemon=True).start()
    if MODE == "stubborn":
        time.sleep(3600)


main()
