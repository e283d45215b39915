"""Agents over A2A: a task is a run and its contextId a conversation.

Nothing of it is kept in this room, so any API process can serve any call. The SDK reads and writes
JSON-RPC and SSE, in version 1.0 of the protocol and in 0.3.

Source:
    A2A protocol specification 1.0, https://a2a-protocol.org/v1.0.0/specification/; a2a-sdk 1.3.
"""
