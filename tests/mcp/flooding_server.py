"""An MCP server over stdio whose tools flood whoever calls them; written by hand, to be quick."""

import base64
import json
import sys

PIECE = "x" * 65_536
PIECES = 1_600
"""About 100 MB."""

TOOLS = ["text", "binary", "progress", "stderr", "many_contents", "fine"]
listed = int(sys.argv[1]) if len(sys.argv) > 1 else 0


def send(**message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def flood(number, kind, piece):
    head = f'{{"jsonrpc": "2.0", "id": {number}, "result": {{"content": [{{"type": "{kind}", '
    sys.stdout.write(head + '"mimeType": "image/png", "data": "')
    for _ in range(PIECES):
        sys.stdout.write(piece)
    sys.stdout.write('"}]}}\n')
    sys.stdout.flush()


def call(number, name, token):
    content = [{"type": "text", "text": "fine"}]
    if name == "text":
        flood(number, "text", PIECE)
    elif name == "binary":
        flood(number, "image", base64.b64encode(b"x" * 49_152).decode())
    elif name == "progress":
        for step in range(10**9):
            params = {"progressToken": token, "progress": step, "message": PIECE}
            send(method="notifications/progress", params=params)
    elif name == "stderr":
        for _ in range(PIECES):
            sys.stderr.write(PIECE)
    elif name == "many_contents":
        content *= 150_000
    send(id=number, result={"content": content})


def answer(message):
    number, method = message.get("id"), message["method"]
    if method == "initialize":
        told = {"protocolVersion": "2025-03-26", "capabilities": {"tools": {}}}
        send(id=number, result={**told, "serverInfo": {"name": "flood", "version": "1"}})
    elif method == "tools/list":
        names = [*TOOLS, *(f"tool_{each}" for each in range(listed))]
        schema = {"type": "object"}
        send(id=number, result={"tools": [{"name": each, "inputSchema": schema} for each in names]})
    elif method == "tools/call":
        params = message["params"]
        call(number, params["name"], params.get("_meta", {}).get("progressToken"))


for line in sys.stdin:
    try:
        answer(json.loads(line))
    except BrokenPipeError:
        break
