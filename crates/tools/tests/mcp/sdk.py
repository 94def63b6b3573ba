"""A server of tools made with the official SDK for Python: over its pipes, or at the port that it is given."""

import os
import sys

from mcp.server.mcpserver import Context, MCPServer
from pydantic import BaseModel

server = MCPServer("sdk", log_level="ERROR")


class Name(BaseModel):
    name: str
    formal: bool = False


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
async def greet(ctx: Context) -> str:
    """Asks who is there, and greets."""
    said = await ctx.elicit("Who is there?", Name)
    return f"{said.action} {said.data.name} {said.data.formal}" if said.action == "accept" else said.action


@server.tool()
async def grow(ctx: Context) -> str:
    """Makes another tool."""

    def subtract(a: int, b: int) -> int:
        return a - b

    server.add_tool(subtract)
    await ctx.session.send_tool_list_changed()
    return "grown"


@server.tool()
def die() -> str:
    """Ends the server."""
    os._exit(3)


@server.resource("note://one")
def note() -> str:
    return "what is noted"


@server.prompt()
def review(code: str) -> str:
    return f"Look at this: {code}"


if len(sys.argv) > 1:
    server.run("streamable-http", port=int(sys.argv[1]))
else:
    server.run("stdio")
