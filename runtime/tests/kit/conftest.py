from runtime.tests.agents import config
from runtime.tests.clients import closed_clients

__all__ = ["closed_clients", "config"]  # fixtures
