"""Loading what a user's `entrypoint` names."""

import difflib
import importlib
import importlib.machinery
import sys
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

from runtime.contract.agent_config import Module
from runtime.tools.blame import blame
from runtime.tools.errors import BadSpec
from runtime.tools.origins import another_name, modules_in, no_module, no_package, said_of

type Fits = Callable[[object], bool]

MOST_NAMES: Final = 10


class NotInstalled(BadSpec):
    """The code imports a package that is not there."""

    def __init__(self, message: str, missing: ModuleNotFoundError) -> None:
        """Tell it in `message`, for the sake of `missing`."""
        super().__init__(message)
        self.missing = missing


def load(module: Module, *, field: str, fits: Fits | None = None) -> Any:
    """The object that `module.entrypoint` names; its folder goes first on the import path.

    Shape:
        field   where the entrypoint and its source stand in the spec: `spec.source.module`.
        fits    whether an object may be what is wanted, so that its name is worth telling.

    Raises:
        NotInstalled: its code imports a package that is not there.
        BadSpec: there is no such module or name, or importing it failed.
    """
    name, _, attribute = module.entrypoint.partition(":")
    said = said_of(module, field)
    if (way_out := _misspelt(name, attribute)) is not None:
        raise BadSpec(f"{said} must have the form module:name, {way_out}")
    if module.path is not None:
        _put_first(Path(module.path), module, field)
    found: Any = _import(name, module, field)
    for part in attribute.split("."):
        found = _attribute(found, part, said, fits)
    return found


def _misspelt(name: str, attribute: str) -> str | None:
    """How an entrypoint that Python cannot import is to be written; None if it can."""
    if all(part.isidentifier() for part in (*name.split("."), *attribute.split("."))):
        return None
    file = name.replace("\\", "/").rpartition("/")[2].removesuffix(".py")
    if file.isidentifier() and attribute.isidentifier():
        return f'as Python imports it: write "{file}:{attribute}"'
    return 'for example "math_agent:graph" for graph in math_agent.py'


def _put_first(folder: Path, module: Module, field: str) -> None:
    """Put the folder on the import path, unless a file of it would hide something else."""
    if str(folder) in sys.path:
        return
    for name in sorted(modules_in(folder)):
        if name in sys.builtin_module_names or _is_installed(name):
            raise BadSpec(
                f"{said_of(module, field)} cannot be imported: {name}.py would hide the installed "
                f"module {name}; {another_name(module, field)}"
            )
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()


def _is_installed(name: str) -> bool:
    """Whether importing `name` finds something already; a mere folder is nothing."""
    spec = importlib.machinery.PathFinder.find_spec(name)
    if spec is None:
        return False
    folders = spec.submodule_search_locations or ()
    return spec.loader is not None or any("site-packages" in folder for folder in folders)


def _import(name: str, module: Module, field: str) -> ModuleType:
    said = said_of(module, field)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise not_installed(error, module, field) from error
        if name.endswith(".py"):
            plain = name.removesuffix(".py") + module.entrypoint.removeprefix(name)
            raise BadSpec(
                f'{said} must have the form module:name, as Python imports it: write "{plain}"'
            ) from error
        raise BadSpec(f"{said}: {no_module(name, module, field)}") from error
    except (Exception, SystemExit) as error:
        raise BadSpec(f"{said}: importing it failed at {blame(error, module)}") from error


def not_installed(error: ModuleNotFoundError, module: Module, field: str) -> NotInstalled:
    """What to say of a package that the user's code imports and that is not there."""
    way_out = no_package(error.name or "", module, field)
    return NotInstalled(f"{said_of(module, field)}: {blame(error, module)}; {way_out}", error)


def _attribute(owner: Any, name: str, said: str, fits: Fits | None) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        instead = _instead(owner, name, fits)
        raise BadSpec(f"{said}: {_named(owner)} has no {name}{instead}") from error


def _instead(owner: Any, name: str, fits: Fits | None) -> str:
    """What may have been meant: an object that fits, or a function that was written there."""
    home = owner.__name__ if isinstance(owner, ModuleType) else getattr(owner, "__module__", None)
    held = getattr(owner, "__dict__", {})  # a number has none
    public = {key: value for key, value in held.items() if not key.startswith("_")}
    objects = [key for key, value in public.items() if fits is not None and fits(value)]
    functions = [
        key
        for key, value in public.items()
        if isinstance(value, FunctionType) and value.__module__ == home
    ]
    if close := difflib.get_close_matches(name, [*objects, *functions], n=3):
        return f"; did you mean {' or '.join(close)}?"
    known = sorted(objects or functions)
    return f"; it has {', '.join(known[:MOST_NAMES])}" if known else ""


def _named(owner: Any) -> str:
    return str(getattr(owner, "__name__", None) or type(owner).__name__)


def kind_of(found: object) -> str:
    """What an object is, as its users know it, with an article: `a crewai.Crew`."""
    if found is None:
        return "None"
    if isinstance(found, type):
        return "a class"
    kind = type(found)
    package = kind.__module__.partition(".")[0]
    exported = getattr(sys.modules.get(package), kind.__name__, None) is kind
    module = package if exported else kind.__module__
    name = kind.__name__ if module == "builtins" else f"{module}.{kind.__name__}"
    return f"{'an' if name[0].lower() in 'aeio' else 'a'} {name}"
