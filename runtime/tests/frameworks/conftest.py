"""Tests of frameworks that stand beside no other; each is collected where it is installed."""

from importlib.util import find_spec

from runtime.tests.agents import config, environment
from runtime.tests.clients import closed_clients

__all__ = ["closed_clients", "config", "environment"]  # fixtures

PACKAGES = {"crewai": "crewai", "ag2": "ag2", "beeai": "beeai_framework"}
collect_ignore_glob = [f"{name}/*" for name, package in PACKAGES.items() if not find_spec(package)]
