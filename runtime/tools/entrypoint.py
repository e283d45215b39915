"""Loading what a user's `entrypoint` names."""

import difflib
import importlib
import importlib.machinery
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from runtime.contract.agent_config import Module
from runtime.tools.blame import blame
from runtime.tools.errors import BadSpec


def load(module: Module, *, field: str) -> Any:
    """The object that `module.entrypoint` names; its folder goes first on the import path.

    Shape:
        field   where the entrypoint and its source stand in the spec: `spec.source.module`.

    Raises:
        BadSpec: there is no such module or attribute, or importing it failed.
    """
    name, _, attribute = module.entrypoint.partition(":")
    said = f'{field}.entrypoint "{module.entrypoint}"'
    if not name or not attribute:
        raise BadSpec(f"{said} must have the form module:attribute")
    if module.path is not None:
        _put_first(Path(module.path), said, field)
    found: Any = _import(name, module, said, field)
    for part in attribute.split("."):
        found = _attribute(found, part, said)
    return found


def _put_first(folder: Path, said: str, field: str) -> None:
    """Put the folder on the import path, unless a file of it would hide something else."""
    if str(folder) in sys.path:
        return
    for name in sorted(_modules_in(folder)):
        if name in sys.builtin_module_names or _is_installed(name):
            raise BadSpec(
                f"{said} cannot be imported: {name}.py would hide the installed module {name}; "
                f"give that key of {field}.configMapRef another name"
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


def _modules_in(folder: Path) -> set[str]:
    if not folder.is_dir():
        return set()
    files = {path.stem for path in folder.glob("*.py")}
    return files | {path.parent.name for path in folder.glob("*/__init__.py")}


def _import(name: str, module: Module, said: str, field: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise BadSpec(f"{said}: {_no_module(name, module, field)}") from error
        raise BadSpec(
            f"{said}: {blame(error, module)}; build an image FROM the runtime image that "
            f"installs it, and name it in {field}.image"
        ) from error
    except (Exception, SystemExit) as error:
        raise BadSpec(f"{said}: importing it failed at {blame(error, module)}") from error


def _no_module(name: str, module: Module, field: str) -> str:
    if module.path is None:
        return f"there is no module {name} in the image of {field}.image"
    files = sorted(_modules_in(Path(module.path)))
    held = f"has {', '.join(f'{file}.py' for file in files)}" if files else "has no .py key"
    return f"there is no module {name}; the ConfigMap of {field}.configMapRef {held}"


def _attribute(owner: Any, name: str, said: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        known = [key for key in vars(owner) if not key.startswith("_")]
        close = difflib.get_close_matches(name, known, n=3) or sorted(known)[:10]
        way_out = f"; did you mean {' or '.join(close)}?" if close else ""
        raise BadSpec(f"{said}: {_named(owner)} has no {name}{way_out}") from error


def _named(owner: Any) -> str:
    return str(getattr(owner, "__name__", None) or type(owner).__name__)


def kind_of(found: object) -> str:
    """The type of an object as its users know it: `crewai.Crew`."""
    kind = type(found)
    package = kind.__module__.partition(".")[0]
    exported = getattr(sys.modules.get(package), kind.__name__, None) is kind
    module = package if exported else kind.__module__
    return kind.__name__ if module == "builtins" else f"{module}.{kind.__name__}"
