"""Code of another framework than its Agent says: what tells it, and what is to be said of it.

No framework is imported to find out: one that is not installed is known by what the code imports,
one that is by the class of what the code gives.
"""

import ast
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from runtime.contract.agent_config import AgentConfig, Framework, Module, Origin
from runtime.tools.blame import entrypoint_file, file_of, place_of
from runtime.tools.entrypoint import kind_of
from runtime.tools.origins import install, said_of

FIELD: Final = "spec.source.module"
PACKAGES: Final[Mapping[Framework, tuple[str, ...]]] = {
    Framework.LANGGRAPH: ("langgraph",),
    Framework.CREWAI: ("crewai",),
    Framework.AG2: ("ag2", "autogen"),
    Framework.LLAMA_STACK: ("llama_stack_client",),
    Framework.BEEAI: ("beeai_framework",),
}
"""What only code of a framework imports; the first one has the framework's own classes."""
LIBRARIES: Final[Mapping[Framework, str]] = {Framework.LANGGRAPH: "langchain"}
"""What comes with a framework, and code of others uses too: alone it tells nothing."""
BEFORE_AG2_1: Final = "autogen"
"""Of just this name: `autogen_core` and its like are of Microsoft's AutoGen, which is another."""


def framework_field(config: AgentConfig) -> str:
    """Where a user says which framework it is."""
    by_hand = config.module is not None and config.module.origin is Origin.FOLDER
    return "--framework" if by_hand else "spec.framework"


def imports_another(error: ModuleNotFoundError, config: AgentConfig, module: Module) -> str | None:
    """What to say if a package is missing because the code is of another framework; else None."""
    package = (error.name or "").partition(".")[0]
    place = place_of(error, module) or module.entrypoint.partition(":")[0]
    said = f"{said_of(module, FIELD)}: {place} imports {package}"
    if package == BEFORE_AG2_1 and config.framework is Framework.AG2:
        return f"{said}, which is AG2 before 1.0; write it for AG2 1.x, whose package is ag2"
    imported = _packages(entrypoint_file(error, module))
    theirs = framework_of_package(package) or _with_library(package, imported)
    is_ours = _is_of(config.framework, imported | _packages(file_of(error, module)))
    if theirs is None or theirs is config.framework or is_ours:
        return None
    way_out = f"only used beside {config.framework}, {install(module, FIELD)}"
    return (
        f"{said}, which is of {theirs}, but {framework_field(config)} is {config.framework}; "
        f"{_change_to(theirs, config, module)}; or, if it is {way_out}"
    )


def is_of_another(found: object, config: AgentConfig, module: Module) -> str | None:
    """What to say of an object of another framework; None if it is of none."""
    theirs = framework_of(found)
    if theirs is None or theirs is config.framework:
        return None
    return (
        f"{said_of(module, FIELD)} is {kind_of(found)}, which is of {theirs}, but "
        f"{framework_field(config)} is {config.framework}; {_change_to(theirs, config, module)}, "
        f"or name an agent of {config.framework}"
    )


def lacks_framework(error: ModuleNotFoundError, config: AgentConfig) -> str:
    """What to say of an image that has not the framework of its Agent."""
    field, change = framework_field(config), ""
    if error.name == PACKAGES[config.framework][0] and (here := _installed()):
        change = f"set {field} to {' or '.join(here)}, or "
    return (
        f"{field} is {config.framework}, and this image has no {error.name}; {change}"
        f"build {FIELD}.image FROM the runtime image for {config.framework}"
    )


def framework_of_package(package: str) -> Framework | None:
    """Whose a top-level package is, by itself or as an extension: `crewai`, `crewai_tools`."""
    for framework, names in PACKAGES.items():
        if package in names or _belongs(package, names[0]):
            return framework
    return None


def _with_library(package: str, imported: frozenset[str]) -> Framework | None:
    """Whose code uses the library `package`, if it imports the framework as well."""
    for framework, name in LIBRARIES.items():
        if _belongs(package, name) and _is_of(framework, imported):
            return framework
    return None


def _is_of(framework: Framework, imported: frozenset[str]) -> bool:
    return not imported.isdisjoint(PACKAGES[framework])


def framework_of(found: object) -> Framework | None:
    """Whose class an object has, or inherits from; of a class, whose it is or was made by."""
    kinds = (*found.__mro__, type(found)) if isinstance(found, type) else type(found).__mro__
    for kind in (*kinds, *map(type, kinds)):
        package = kind.__module__.partition(".")[0]
        for framework, names in PACKAGES.items():
            if package == names[0]:
                return framework
    return None


def _installed() -> list[str]:
    return [one for one, packages in PACKAGES.items() if find_spec(packages[0]) is not None]


def _belongs(package: str, name: str) -> bool:
    return package == name or package.startswith(f"{name}_")


def _change_to(theirs: Framework, config: AgentConfig, module: Module) -> str:
    if module.origin is Origin.FOLDER:
        return f"say {framework_field(config)} {theirs}"
    change = f"set {framework_field(config)} to {theirs}"
    if module.origin is Origin.IMAGE:
        return f"{change} and build {FIELD}.image FROM the runtime image for {theirs}"
    return change


def _packages(file: Path | None) -> frozenset[str]:
    """The top-level packages that a file imports; none if it is no file of Python."""
    try:
        tree = ast.parse(b"" if file is None else file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()  # compiled, or not there any more
    return frozenset(_imported(tree))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]
            case _:
                pass
