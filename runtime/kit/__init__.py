"""The conformance kit: what an agent of any framework can do, shown on the agent itself."""
