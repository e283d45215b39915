from runtime.tests.agents import config, environment, model_url, stack_url
from runtime.tests.clients import closed_clients

__all__ = ["closed_clients", "config", "environment", "model_url", "stack_url"]  # fixtures
