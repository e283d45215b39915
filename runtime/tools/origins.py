"""What to say of a user's code, and what to do about it, by where the code comes from."""

from importlib.util import find_spec
from pathlib import Path
from typing import Final, assert_never

from runtime.contract.agent_config import Module, Origin

MOST_FILES: Final = 10
PYTHONPATH: Final = "let PYTHONPATH name a folder that has it (pip install --target)"
MAKE_UP: Final = f"for `make up`, {PYTHONPATH}"
"""The worker cannot tell whether it runs in a cluster, so both ways out are told."""


def said_of(module: Module, field: str) -> str:
    """The entrypoint as its user wrote it.

    Shape:
        field   where the code stands in the spec: `spec.source.module`.
    """
    given = "the entrypoint" if module.origin is Origin.FOLDER else f"{field}.entrypoint"
    return f'{given} "{module.entrypoint}"'


def no_module(name: str, module: Module, field: str) -> str:
    """That there is no module of this name, and what there is in its place."""
    missing = f"there is no module {name}"
    match module.origin:
        case Origin.CONFIG_MAP:
            return f"{missing}; the ConfigMap of {field}.configMapRef {_held(module, 'key')}"
        case Origin.IMAGE:
            return (
                f"{missing} in the image of {field}.image; copy it there, and name its folder in "
                "PYTHONPATH"
            )
        case Origin.WORKER:
            return (
                f"{missing} in the worker's own image; name the ConfigMap that has it in "
                f"{field}.configMapRef, or an image in {field}.image"
            )
        case Origin.FOLDER:
            return f"{missing}; {module.path} {_held(module, 'file')}; --path names another folder"
        case _ as never:
            assert_never(never)


def no_package(name: str, module: Module, field: str) -> str:
    """What to do when a package or a file is not there that the code imports."""
    package = name.partition(".")[0]
    if package != name and find_spec(package) is not None:
        return f"the {package} that is installed here is of a version without {name}"
    if module.origin is Origin.CONFIG_MAP:
        config_map = f"the ConfigMap of {field}.configMapRef"
        return (
            f"if {name} is a file of yours, add it to {config_map}; else {install(module, field)}"
        )
    return install(module, field)


def install(module: Module, field: str) -> str:
    """How the code gets a package that the worker has not."""
    match module.origin:
        case Origin.CONFIG_MAP:
            return (
                f"{MAKE_UP}; in a cluster, build an image FROM the runtime image that has it and "
                f"your module, and name it in {field}.image in place of configMapRef"
            )
        case Origin.IMAGE:
            return f"install it in the image of {field}.image"
        case Origin.WORKER:
            return (
                f"{MAKE_UP}; in a cluster, build an image FROM the runtime image that installs it, "
                f"and name it in {field}.image"
            )
        case Origin.FOLDER:
            return (
                f"{PYTHONPATH}; in a cluster the agent needs an image that has it ({field}.image)"
            )
        case _ as never:
            assert_never(never)


def another_name(module: Module, field: str) -> str:
    """What to do about a file that would hide an installed module."""
    if module.origin is Origin.FOLDER:
        return "give that file another name"
    return f"give that key of {field}.configMapRef another name"


def modules_in(folder: Path) -> set[str]:
    """The names under which a folder's files and packages are imported."""
    if not folder.is_dir():
        return set()
    files = {path.stem for path in folder.glob("*.py")}
    return files | {path.parent.name for path in folder.glob("*/__init__.py")}


def _held(module: Module, noun: str) -> str:
    files = sorted(modules_in(Path(module.path or "")))
    shown = [f"{file}.py" for file in files[:MOST_FILES]] + ["…"] * (len(files) > MOST_FILES)
    return f"has {', '.join(shown)}" if files else f"has no .py {noun}"
