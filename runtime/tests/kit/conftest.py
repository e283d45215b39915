from runtime.tests.agents import config, model_url, stack_url

__all__ = ["config", "model_url", "stack_url"]  # fixtures
