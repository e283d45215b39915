"""The agents of a Stack as the tools of an MCP server.

Agents alone: who may publish calls of a Tool is its Agents, by their subjects, and not the API
server. Nothing is kept in this room, so any API process can serve any request.

Source:
    Model Context Protocol specification 2025-11-25; the SDK mcp 1.30 and 2.3.
"""
