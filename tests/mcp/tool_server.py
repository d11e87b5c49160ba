"""A small MCP server over stdio: its tools add, fail, wait, report progress, and come and go."""

import asyncio
import base64
import os
import signal
import sys
from pathlib import Path

import anyio
import mcp.server.stdio
from mcp import types
from mcp.server.lowlevel import NotificationOptions, Server

server: Server = Server("tools")
folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path()
extra: list[str] = []

NUMBERS = {"x": {"type": "integer"}, "y": {"type": "integer", "default": 3}}


def schema(required=(), **properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


READ_ONLY = types.ToolAnnotations(readOnlyHint=True)
TOOLS = [
    types.Tool(name="add", description="Adds.", inputSchema=schema(("x",), **NUMBERS)),
    types.Tool(name="fail", inputSchema=schema(text={"type": "string"})),
    types.Tool(name="wait", inputSchema=schema()),
    types.Tool(name="count", inputSchema=schema(("to",), to={"type": "integer"})),
    types.Tool(name="picture", inputSchema=schema()),
    types.Tool(name="large", inputSchema=schema(("bytes",), bytes={"type": "integer"})),
    types.Tool(name="die", inputSchema=schema()),
    types.Tool(name="die_once", inputSchema=schema(), annotations=READ_ONLY),
    types.Tool(name="offer", inputSchema=schema(("name",), name={"type": "string"})),
    types.Tool(name="environment", inputSchema=schema()),
]


@server.list_tools()
async def list_tools():
    return [*TOOLS, *(types.Tool(name=each, inputSchema=schema()) for each in extra)]


def text(told):
    return [types.TextContent(type="text", text=str(told))]


@server.call_tool(validate_input=False)
async def call_tool(name, arguments):
    context = server.request_context
    match name:
        case "add":
            return text(arguments["x"] + arguments.get("y", 3))
        case "fail":
            raise ValueError(arguments.get("text", "no reason"))
        case "wait":
            (folder / "began").touch()
            try:
                await asyncio.sleep(60)
            finally:
                (folder / "cancelled").touch()
            return []
        case "count":
            token = context.meta.progressToken
            for number in range(1, arguments["to"] + 1):
                await context.session.send_progress_notification(
                    token, number, arguments["to"], f"at {number}"
                )
            while not (folder / "counted").exists():
                await asyncio.sleep(0.02)
            return text("counted")
        case "picture":
            data = base64.b64encode(b"\x89PNG").decode()
            return [
                *text("a picture"),
                types.ImageContent(type="image", data=data, mimeType="image/png"),
            ]
        case "large":
            return text("x" * arguments["bytes"])
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
            return []
        case "die_once":
            if not (folder / "died").exists():
                (folder / "died").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return text("alive")
        case "offer":
            extra[:] = [arguments["name"]] if arguments["name"] else []
            await context.session.send_tool_list_changed()
            return text("offered")
        case "environment":
            return text(" ".join(sorted(os.environ)))
        case _:
            return text(f"called {name}")


async def main():
    options = server.create_initialization_options(NotificationOptions(tools_changed=True))
    async with mcp.server.stdio.stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, options)


anyio.run(main)
