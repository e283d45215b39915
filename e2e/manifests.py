"""Objects for the tests: small, and each its own."""

import json
import secrets
from typing import Any

from e2e.kubectl import Body

API_VERSION = "k8gentai.dev/v1alpha1"
STAND_IN = "http://model.k8gentai-system.svc:8000/v1"
NOBODY = "http://nobody.k8gentai-system.svc:8000/v1"

EFFECTS = "/tmp/effects"
ADDS = f'''
import time

def add(a: float, b: float) -> float:
    """Add two numbers.

    Args:
        a: the first number
        b: the second number
    """
    with open("{EFFECTS}", "a") as effects:
        effects.write(f"{{a:g}} {{b:g}}\\n")
    return a + b
'''
READ_EFFECTS = f"""
import pathlib
effects = pathlib.Path({EFFECTS!r})
print(effects.read_text() if effects.exists() else "", end="")
"""


def _object(kind: str, name: str, spec: Body) -> Body:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def model(name: str, provided: str, url: str = STAND_IN) -> Body:
    """One entry of a Stack's models."""
    return {"name": name, "provider": "remote::vllm", "model": provided, "baseUrl": url}


def stack(name: str, *models: Body, **spec: Any) -> Body:
    """A Stack with one small NATS; open to all namespaces."""
    made = {
        "models": list(models) or [model("small", "stand-in")],
        "messaging": {"managed": {"replicas": 1, "storage": "256Mi"}},
        "allowedNamespaces": {"from": "All"},
    }
    return _object("Stack", name, made | spec)


def config_map(name: str, **files: str) -> Body:
    """Python modules, each by its name."""
    data = {f"{module}.py": text for module, text in files.items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def tool(name: str, entrypoint: str, source: str, stack: Body, **spec: Any) -> Body:
    """A Tool of Python functions; `stack` is a reference."""
    python = {"entrypoint": entrypoint, "configMapRef": {"name": source}}
    made = {"stackRef": stack, "python": python, "allowedNamespaces": {"from": "All"}}
    return _object("Tool", name, made | spec)


def agent(
    name: str, stack: Body, *tools: Body, says: str = "You do sums. Use your tools.", **spec: Any
) -> Body:
    """A declared LangGraph agent; `stack` and `tools` are references."""
    made = {
        "stackRef": stack,
        "framework": "LangGraph",
        "source": {"declarative": {"instructions": says}},
        "tools": [{"toolRef": ref} for ref in tools],
    }
    return _object("Agent", name, made | spec)


def module_agent(name: str, stack: Body, entrypoint: str, source: str, **spec: Any) -> Body:
    """A LangGraph agent from the user's own code."""
    module = {"entrypoint": entrypoint, "configMapRef": {"name": source}}
    made = {"stackRef": stack, "framework": "LangGraph", "source": {"module": module}}
    return _object("Agent", name, made | spec)


def sum_of_two() -> tuple[str, str, str]:
    """A question with random numbers, its answer, and the line the tool leaves of it."""
    a, b = secrets.randbelow(900_000) + 1, secrets.randbelow(900_000) + 1
    return f"What is {a} plus {b}?", str(a + b), f"{float(a):g} {float(b):g}"


def dumped(body: Body) -> str:
    """`body` for kubectl."""
    return json.dumps(body)
