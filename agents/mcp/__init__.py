"""MCP: workers whose task types are the tools of MCP servers, and a server for MCP's clients."""
