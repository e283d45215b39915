"""Which server this is: llama-stack 0.7.3, or ogx 1.5.0, as it is called since.

The two have the same names in packages of another name, and an environment has one of them. What
they do differently is asked for with `IS_OGX`.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

IS_OGX: Final = find_spec("ogx") is not None
VARIABLES: Final = "OGX" if IS_OGX else "LLAMA_STACK"
"""What the names of the server's environment variables begin with."""

_PACKAGE: Final = "ogx" if IS_OGX else "llama_stack"


def server_module(name: str) -> Any:
    """A module of the server, by its name without the package's."""
    return import_module(f"{_PACKAGE}.{name}")


def api_module(name: str = "") -> Any:
    """A module of the package with the server's interfaces, or that package itself."""
    return import_module(f"{_PACKAGE}_api{name and '.'}{name}")
